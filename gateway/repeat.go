package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/savepoint-games/savepoint/game"
)

// record is what is kept for an idempotency key: an answer or a refusal.
type record struct {
	Fingerprint string   `json:"fingerprint"`
	Answer      *Answer  `json:"answer,omitempty"`
	Refusal     *Problem `json:"refusal,omitempty"`
	// Context is the context that the request entered, or "".
	Context game.Context `json:"context,omitempty"`
}

// A RefusedError answers the repeat of a request that the rules had refused.
type RefusedError struct{ Problem *Problem }

func (e *RefusedError) Error() string { return "refused before: " + e.Problem.Detail }

// ErrKeyReused is returned for an idempotency key that another request had.
var ErrKeyReused = errors.New("the idempotency key was used for another request; each request needs one of its own")

// refuse keeps a refusal and returns it: the same request may still be on its way through
// a gateway that is suspended, and must not be accepted after the state has changed.
func (s *Service) refuse(ctx context.Context, a action, refusal error) error {
	ctx, cancel := s.acting.within(ctx)
	defer cancel()
	request, err := a.keep(record{Refusal: newProblem(refusal)})
	if err == nil {
		err = s.Hot.Refuse(ctx, a.char, request)
	}
	for errors.Is(err, game.ErrUnverified) { // the stream may know what Redis has answered
		if err = s.verifyCopy(ctx, a.char); err == nil {
			err = s.Hot.Refuse(ctx, a.char, request)
		}
	}
	if err != nil {
		return err // perhaps a *game.ReplayError: it was answered meanwhile
	}
	return refusal
}

func (a *action) request(answer *Answer) (game.Request, error) {
	if a.opts.Key == "" {
		return game.Request{}, nil
	}
	return a.keep(record{Answer: answer, Context: a.enters})
}

func (a *action) keep(r record) (game.Request, error) {
	r.Fingerprint = a.opts.Fingerprint
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // an event has room for 64 KiB
	err := enc.Encode(r)
	return game.Request{Key: a.opts.Key, Record: strings.TrimSuffix(text.String(), "\n")}, err
}

// kept reads the first answer of a repeated request.
func (a *action) kept(text string) (*Answer, error) {
	var kept record
	if err := json.Unmarshal([]byte(text), &kept); err != nil {
		return nil, fmt.Errorf("kept answer of request %s: %w", a.opts.Key, err)
	}
	if kept.Fingerprint != a.opts.Fingerprint {
		return nil, ErrKeyReused
	}
	switch {
	case kept.Refusal != nil:
		return nil, &RefusedError{kept.Refusal}
	case kept.Answer == nil: // a newer build knows what it is
		return nil, fmt.Errorf("kept answer of request %s: neither an answer nor a refusal", a.opts.Key)
	}
	kept.Answer.Replayed, kept.Answer.request = true, game.Request{Key: a.opts.Key, Record: text}
	return kept.Answer, nil
}
