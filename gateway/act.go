package gateway

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// An action is one request on its way: what to load, how to decide, what to
// wait for.
type action struct {
	char events.CharID
	opts Options
	// want is what the decision needs; nil for a blind write, which only has to be
	// newer than everything else.
	want *game.Want
	// likely returns the sessions that are probably open, where want does not tell.
	likely func(ctx context.Context) []uuid.UUID
	// enters is the context that the action enters, or "".
	enters game.Context
	// load replaces want where a Want cannot describe what to load. What it returns is
	// not remembered.
	load func(ctx context.Context) (*game.Loaded, error)
	// decide makes a change at version v, and its answer. A nil change means
	// that there is nothing to do.
	decide func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error)
}

// isBlind reports whether the action depends on no state.
func (a *action) isBlind() bool { return a.want == nil && a.load == nil }

// Options are what a caller may ask of any action.
type Options struct {
	// Key is the idempotency key: a repeat returns the first answer. "" for none.
	Key string
	// Fingerprint tells a repeat from another request with the same key.
	Fingerprint string
	// Durability is what the caller waits for. Defaults to DurabilityStream.
	Durability Durability
	// Trace is the W3C trace context of the request, or "".
	Trace string
}

// An Answer is what an action leads to. Fields that an action does not have
// stay out of its JSON form.
type Answer struct {
	CharID     events.CharID    `json:"char_id"`
	Version    events.Version   `json:"version"`
	SessionID  uuid.UUID        `json:"session_id,omitzero"`
	Preempted  []game.Preempted `json:"preempted,omitzero"`
	XP         *int64           `json:"xp,omitempty"`
	Items      []Quantity       `json:"items,omitzero"`
	Durability Durability       `json:"durability"`
	// Trade is kept for a trade between two characters, which has an answer of
	// its own.
	Trade *events.Transfer `json:"trade,omitempty"`
	// Replayed tells that this is the answer of an earlier, equal request.
	Replayed bool `json:"-"`
	// sentAt is when the commit was sent. request is what was kept for a repeat: the
	// answer before its Durability was known; a repeat's answer has the first one's.
	sentAt  time.Time
	request game.Request
}

// A Quantity is how many of an item a character has.
type Quantity struct {
	ItemID   string `json:"item_id"`
	Quantity int64  `json:"quantity"`
}

// ErrBusy is returned when others were faster each time until the deadline.
var ErrBusy = errors.New("character is too busy and was not changed; try again")

// act carries out an action: it loads, decides and commits, and starts over when somebody
// was faster; then it publishes.
func (s *Service) act(ctx context.Context, a action) (*Answer, error) {
	// A client that hangs up does not stop its action half way: what is
	// committed is also published. Each step has its own deadline.
	ctx = uncancelled(ctx)
	change, answer, err := s.commitOnce(ctx, a)
	switch {
	case err != nil:
		return nil, err
	case change != nil:
		answer.Durability = s.publish(ctx, change, answer, a.opts)
		wanted := a.opts.Durability
		if !change.NeedsPublish() {
			wanted = DurabilityHot
		}
		s.Metrics.acted(wanted, answer.Durability)
	case answer != nil && answer.Replayed && answer.Durability != DurabilityHot:
		// The first may have died before it published.
		answer.Durability = s.publishAgain(ctx, a, answer)
	}
	return answer, nil
}

// commitOnce commits an action. A repeat of an earlier request gets the first answer or
// refusal, and no change.
func (s *Service) commitOnce(ctx context.Context, a action) (*game.Change, *Answer, error) {
	change, answer, err := s.commit(ctx, a)
	if a.opts.Key != "" && errors.Is(err, game.ErrConflict) {
		err = s.refuse(ctx, a, err)
	}
	if replay, ok := errors.AsType[*game.ReplayError](err); ok {
		answer, err = a.kept(replay.Record)
		return nil, answer, err
	}
	return change, answer, err
}

// commit returns the change that it has committed, and none with an error.
func (s *Service) commit(ctx context.Context, a action) (*game.Change, *Answer, error) {
	ctx, cancel := s.acting.within(ctx)
	defer cancel()
	if !a.isBlind() {
		defer s.turns.take(ctx, a.char)()
	}
	var floor events.Version
	for ctx.Err() == nil {
		change, answer, err := s.try(ctx, a, floor)
		if moved, ok := errors.AsType[*game.MovedError](err); ok {
			floor = moved.Version
			continue
		}
		if errors.Is(err, errAgain) {
			continue
		}
		return change, answer, err
	}
	return nil, nil, ErrBusy
}

// errAgain means that an action has to be loaded and decided again: its copy had to be
// joined first, or the remembered state may be outdated.
var errAgain = errors.New("load and decide again")

// try is one round of an action, above version floor.
func (s *Service) try(ctx context.Context, a action, floor events.Version) (*game.Change, *Answer, error) {
	l, m, err := s.basis(ctx, a)
	if err != nil {
		return nil, nil, err
	}
	change, answer, err := a.decide(l, events.NextVersion(max(l.Version, floor), s.Now()))
	if err != nil || change == nil {
		if m.recalled {
			return nil, nil, errAgain
		}
		return nil, answer, err
	}
	answer.CharID, answer.Version = a.char, change.Version
	if !change.NeedsPublish() {
		answer.Durability = DurabilityHot // kept, so that a repeat says so, too
	}
	request, err := a.request(answer)
	if err != nil {
		return nil, nil, err
	}
	answer.sentAt, answer.request = time.Now(), request
	err = s.Hot.Commit(ctx, change, request)
	_, moved := errors.AsType[*game.MovedError](err)
	switch {
	case err == nil && a.want != nil:
		s.copies.put(m, change)
	case err == nil && a.load != nil:
		s.copies.forget(a.char)
	case errors.Is(err, game.ErrUnverified):
		err = s.commitUnverified(ctx, a, change, request)
	case moved && m.recalled:
		s.copies.contest(a.char)
	}
	if err != nil {
		return nil, nil, err // nothing was committed, so nothing is published
	}
	return change, answer, nil
}

// basis returns what an action is decided on: nothing for a blind write, else
// what is remembered or, where that is not enough, what is loaded now.
func (s *Service) basis(ctx context.Context, a action) (*game.Loaded, *remembered, error) {
	var m *remembered
	load := a.load
	if a.want != nil {
		if m = s.copies.take(a.char, a.want); m.recalled {
			return &m.loaded, m, nil
		}
		load = s.wanted(a)
	} else {
		m = new(remembered)
	}
	if load == nil {
		m.loaded.Char = a.char
		return &m.loaded, m, nil
	}
	l, err := load(ctx)
	switch {
	case err != nil:
		return nil, nil, err
	case l.Record != "":
		return nil, nil, &game.ReplayError{Record: l.Record}
	case !l.Verified:
		return nil, nil, cmp.Or(s.verifyCopy(ctx, a.char), errAgain)
	}
	if a.want != nil {
		m.learn(l, a.want)
		l.State = m.loaded.State
	}
	return l, m, nil
}

// wanted returns a load of what an action wants.
func (s *Service) wanted(a action) func(context.Context) (*game.Loaded, error) {
	return func(ctx context.Context) (*game.Loaded, error) {
		want := *a.want
		want.Request = a.opts.Key
		if a.likely != nil {
			want.Likely = a.likely(ctx)
		}
		return s.Hot.Load(ctx, a.char, want)
	}
}

// commitUnverified joins the copy and returns errAgain. Where it cannot be joined now, a
// blind write is committed all the same: it depends on nothing, and the copy is joined as
// soon as it can be.
func (s *Service) commitUnverified(ctx context.Context, a action, change *game.Change, request game.Request) error {
	if !a.isBlind() {
		return cmp.Or(s.verifyCopy(ctx, a.char), errAgain)
	}
	loaded, err := s.loadFenced(ctx, a.char) // needs Redis alone, as the commit does
	if err != nil {
		return err
	}
	joining, cancel := leavingHalf(ctx)
	defer cancel()
	err = s.verifyInTurn(joining, loaded)
	if events.IsUnavailable(err, events.NATS, events.PostgreSQL) || errors.Is(err, errManyJoins) {
		// A version that the copy has lost may be above this one, as clocks differ.
		asking, cancel := leavingHalf(ctx)
		defer cancel()
		if newest := s.newestPublished(asking, a.char); newest >= change.Version {
			return &game.MovedError{Version: newest}
		}
		return s.Hot.CommitBlind(ctx, change, request)
	}
	return cmp.Or(err, errAgain)
}

// leavingHalf returns a context for half of the time that ctx has left, so that a server
// that hangs leaves time for steps that do not need it.
func leavingHalf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// newestPublished is the highest version of a character that its recent events say; 0
// where there is none, or the stream cannot be asked.
func (s *Service) newestPublished(ctx context.Context, char events.CharID) events.Version {
	tailOf, err := s.Stream.Tails(ctx)
	if err != nil {
		return 0
	}
	tail, err := tailOf(ctx, char)
	if err != nil {
		return 0
	}
	return tail.Newest
}
