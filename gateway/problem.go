package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// A Problem is an error as callers see it (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Errors names the fields that are wrong.
	Errors []FieldProblem `json:"errors,omitempty"`
	// Active is the session that is in the way.
	Active *game.Preempted `json:"active,omitempty"`
}

// A FieldProblem is one wrong field: a path in the body, or the name of a
// parameter of the path, the query or the header.
type FieldProblem struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

// parameterError is a wrong parameter of the path, the query or the header.
type parameterError struct {
	name string
	err  error
}

func (e *parameterError) Error() string { return e.name + ": " + e.err.Error() }
func (e *parameterError) Unwrap() error { return e.err }

func badParameter(name string, err error) error { return &parameterError{name, err} }

// newProblem translates an error. It is the one place that chooses a status.
func newProblem(err error) *Problem {
	var (
		parameter   *parameterError
		field       *events.FieldError
		unavailable *events.UnavailableError
		refused     *RefusedError
	)
	switch {
	case errors.As(err, &refused):
		return refused.Problem
	case errors.As(err, &parameter):
		return fieldProblem(http.StatusBadRequest, parameter.name, parameter.err)
	case errors.Is(err, events.ErrTooLarge):
		return fieldProblem(http.StatusRequestEntityTooLarge, "", err)
	case errors.Is(err, events.ErrSyntax):
		return fieldProblem(http.StatusBadRequest, fieldOf(err), err)
	case errors.As(err, &field):
		return fieldProblem(http.StatusUnprocessableEntity, field.Field, field.Err)
	case errors.Is(err, ErrKeyReused):
		return fieldProblem(http.StatusUnprocessableEntity, "Idempotency-Key", err)
	case errors.Is(err, game.ErrConflict):
		return conflictProblem(err)
	case errors.Is(err, ErrUnknown):
		return plainProblem(http.StatusNotFound, err)
	case errors.As(err, &unavailable), errors.Is(err, ErrBusy), errors.Is(err, game.ErrAhead), errors.Is(err, game.ErrUnsaved),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return plainProblem(http.StatusServiceUnavailable, err)
	}
	return plainProblem(http.StatusInternalServerError, err)
}

func fieldOf(err error) string {
	var field *events.FieldError
	if errors.As(err, &field) {
		return field.Field
	}
	return ""
}

func plainProblem(status int, err error) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: err.Error()}
}

func fieldProblem(status int, field string, err error) *Problem {
	if field == "" {
		field = "body"
	}
	p := plainProblem(status, err)
	p.Detail = field + ": " + err.Error()
	p.Errors = []FieldProblem{{Field: field, Detail: err.Error()}}
	return p
}

func conflictProblem(err error) *Problem {
	p := plainProblem(http.StatusConflict, err)
	var (
		fight *game.InCombatError
		short *game.InsufficientError
	)
	switch {
	case errors.As(err, &fight):
		p.Active = &game.Preempted{Context: game.ContextCombat, SessionID: fight.SessionID}
	case errors.As(err, &short):
		p.Errors = []FieldProblem{{Field: "item_id", Detail: err.Error()}}
	}
	return p
}

func (s *Service) problem(w http.ResponseWriter, r *http.Request, err error) {
	p := newProblem(err)
	if p.Status >= http.StatusInternalServerError && r.Context().Err() == nil {
		s.Log.Warn("request failed", "method", r.Method, "path", r.URL.Path, "status", p.Status, "err", err)
	}
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	out, _ := json.Marshal(p) // strings and numbers only
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(out, '\n'))
}

// unknown answers what is not part of the interface with a problem that has the
// status and the headers which the mux of what is known would give.
func unknown(known *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		probe := &statusProbe{header: http.Header{}}
		known.ServeHTTP(probe, r)
		if allow := probe.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
		}
		writeProblem(w, plainProblem(probe.status, errors.New(r.Method+" "+r.URL.Path+" is not part of this interface")))
	})
}

// statusProbe keeps the status and headers of an answer and drops its body.
type statusProbe struct {
	header http.Header
	status int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) WriteHeader(status int)      { p.status = status }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
