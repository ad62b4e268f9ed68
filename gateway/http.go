package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// Handler is the HTTP interface of the service. Errors are problem documents
// (RFC 9457).
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("PUT /v1/characters/{char_id}/vitals", s.write(s.putVitals))
	mux.Handle("POST /v1/characters/{char_id}/inventory", s.write(s.postInventory))
	mux.Handle("POST /v1/characters/{char_id}/contexts/{context}", s.write(s.postContext))
	mux.Handle("PATCH /v1/characters/{char_id}/contexts/{context}", s.write(s.patchContext))
	mux.Handle("POST /v1/characters/{char_id}/contexts/{context}/finish", s.write(s.finishContext))
	mux.Handle("POST /v1/characters/{char_id}/sync/{scope}", s.read(s.postSync))
	mux.Handle("GET /v1/characters/{char_id}", s.read(s.getCharacter))
	mux.Handle("GET /v1/characters/{char_id}/combats", s.read(s.getCombats))
	return withProblems(mux)
}

// A call is one request, taken apart.
type call struct {
	*http.Request
	char events.CharID
	body []byte
	opts Options
}

// write is a handler of requests that change something.
func (s *Service) write(handle func(context.Context, *call) (int, *Answer, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := newCall(w, r)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		if err := c.readOptions(); err != nil {
			s.problem(w, r, err)
			return
		}
		status, answer, err := handle(r.Context(), c)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		if answer.Replayed {
			w.Header().Set("Idempotency-Replayed", "true")
		}
		reply(w, status, answer)
	})
}

// read is a handler of requests whose repeat does no harm.
func (s *Service) read(handle func(context.Context, *call) (int, any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := newCall(w, r)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		status, answer, err := handle(r.Context(), c)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		reply(w, status, answer)
	})
}

func newCall(w http.ResponseWriter, r *http.Request) (*call, error) {
	char, err := events.ParseCharID(r.PathValue("char_id"))
	if err != nil {
		return nil, badParameter("char_id", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, events.MaxBytes))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &events.FieldError{Err: events.ErrTooLarge}
	}
	if err != nil {
		return nil, badParameter("body", err)
	}
	return &call{Request: r, char: char, body: body}, nil
}

var (
	errDurability = errors.New("must be hot, stream or cold")
	errBool       = errors.New("must be true or false")
	errLimit      = errors.New("must be an integer from 1 to 500")
	errBefore     = errors.New("must be a version or an RFC 3339 time")
	errFrom       = errors.New("must be hot or cold")
)

func (c *call) readOptions() error {
	query := c.URL.Query()
	c.opts.Durability = Durability(query.Get("durability"))
	if c.opts.Durability == "" {
		c.opts.Durability = DurabilityStream
	}
	if !c.opts.Durability.Valid() {
		return badParameter("durability", errDurability)
	}
	c.opts.Trace = c.Header.Get("traceparent")
	if key := c.Header.Get("Idempotency-Key"); key != "" {
		id, err := strictjson.ParseUUID(key)
		if err != nil {
			return badParameter("Idempotency-Key", err)
		}
		c.opts.Key = id.String()
		c.opts.Fingerprint = fingerprint(c.Method, c.URL.Path, query.Get("force"), string(c.body))
	}
	return nil
}

// fingerprint tells requests apart; what a caller waits for is not part of it.
func fingerprint(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		hash.Write([]byte(part))
		hash.Write([]byte{0})
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

func (s *Service) putVitals(ctx context.Context, c *call) (int, *Answer, error) {
	vitals, err := events.DecodeVitals(c.body)
	if err == nil {
		err = vitals.Validate(nil)
	}
	if err != nil {
		return 0, nil, err
	}
	answer, err := s.SetVitals(ctx, c.char, vitals, c.opts)
	return http.StatusOK, answer, err
}

func (s *Service) postInventory(ctx context.Context, c *call) (int, *Answer, error) {
	deltas, err := decodeDeltas(c.body)
	if err != nil {
		return 0, nil, err
	}
	answer, err := s.ChangeItems(ctx, c.char, deltas, c.opts)
	return http.StatusOK, answer, err
}

func (s *Service) postContext(ctx context.Context, c *call) (int, *Answer, error) {
	entry, err := decodeEntry(game.Context(c.PathValue("context")), c.body)
	if err != nil {
		return 0, nil, err
	}
	if entry.Force, err = c.flag("force"); err != nil {
		return 0, nil, err
	}
	answer, err := s.Enter(ctx, c.char, entry, c.opts)
	return http.StatusCreated, answer, err
}

func (s *Service) patchContext(ctx context.Context, c *call) (status int, answer *Answer, err error) {
	switch context := game.Context(c.PathValue("context")); context {
	case game.ContextScenario:
		var step game.Step
		if step, err = decodeStep(c.body); err == nil {
			answer, err = s.Advance(ctx, c.char, step, c.opts)
		}
	case game.ContextCombat:
		var round game.Round
		if round, err = decodeRound(c.body); err == nil {
			answer, err = s.Fight(ctx, c.char, round, c.opts)
		}
	case game.ContextInventory:
		in, bad := decodeSession(c.body)
		if err = bad; err == nil {
			answer, err = s.Touch(ctx, c.char, context, in, c.opts)
		}
	default:
		err = badContext(context)
	}
	return http.StatusOK, answer, err
}

func (s *Service) finishContext(ctx context.Context, c *call) (status int, answer *Answer, err error) {
	switch context := game.Context(c.PathValue("context")); context {
	case game.ContextCombat:
		session, result, bad := decodeResult(c.body)
		if err = bad; err == nil {
			answer, err = s.FinishCombat(ctx, c.char, session, result, c.opts)
		}
	case game.ContextScenario:
		session, bad := decodeSession(c.body)
		if err = bad; err == nil {
			answer, err = s.FinishScenario(ctx, c.char, session, c.opts)
		}
	case game.ContextInventory:
		session, bad := decodeSession(c.body)
		if err = bad; err == nil {
			answer, err = s.FinishInventory(ctx, c.char, session, c.opts)
		}
	default:
		err = badContext(context)
	}
	return http.StatusOK, answer, err
}

func badContext(context game.Context) error {
	return badParameter("context", errors.New("must be combat, inventory or scenario, not "+strconv.Quote(string(context))))
}

// dispatched is the answer of the dispatcher.
type dispatched struct {
	CharID     events.CharID `json:"char_id"`
	Scope      events.Scope  `json:"scope"`
	Events     int           `json:"events"` // how many the stream has stored
	Durability Durability    `json:"durability"`
}

func (s *Service) postSync(ctx context.Context, c *call) (int, any, error) {
	scope := events.Scope(c.PathValue("scope"))
	if wantOf(scope).Empty() {
		return 0, nil, badParameter("scope", errors.New("must be combat, inventory, scenario or vitals, not "+strconv.Quote(string(scope))))
	}
	if _, err := s.Look(ctx, c.char); err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.ActionTimeout)
	defer cancel()
	n, err := s.Dispatch(ctx, scope, c.char)
	return http.StatusAccepted, dispatched{c.char, scope, n, DurabilityStream}, err
}

func (s *Service) getCharacter(ctx context.Context, c *call) (int, any, error) {
	look := s.Look
	switch from := c.URL.Query().Get("from"); from {
	case "", "hot":
	case "cold":
		look = s.LookCold
	default:
		return 0, nil, badParameter("from", errFrom)
	}
	view, err := look(ctx, c.char)
	return http.StatusOK, view, err
}

const (
	defaultFights = 50
	maxFights     = 500
)

func (s *Service) getCombats(ctx context.Context, c *call) (int, any, error) {
	limit, err := c.limit()
	if err != nil {
		return 0, nil, err
	}
	before, err := c.before()
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.ActionTimeout)
	defer cancel()
	fights, err := s.Cold.Fights(ctx, c.char, before, limit)
	return http.StatusOK, fights, err
}

func (c *call) limit() (int32, error) {
	text := c.URL.Query().Get("limit")
	if text == "" {
		return defaultFights, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 || n > maxFights {
		return 0, badParameter("limit", errLimit)
	}
	return int32(n), nil
}

// before is the version below which the history is read: given as a version or
// as a time.
func (c *call) before() (events.Version, error) {
	text := c.URL.Query().Get("before")
	if text == "" {
		return math.MaxInt64, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return events.Version(n), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return events.Version(t.UnixMicro()), nil
	}
	return 0, badParameter("before", errBefore)
}

func (c *call) flag(name string) (bool, error) {
	text := c.URL.Query().Get(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, badParameter(name, errBool)
	}
	return value, nil
}

func reply(w http.ResponseWriter, status int, body any) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // free-form data goes back as it came
	if err := enc.Encode(body); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // an error means that the caller is gone
}
