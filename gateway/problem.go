package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/valyala/fasthttp"

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
		parameter *parameterError
		field     *events.FieldError
		refused   *RefusedError
	)
	switch {
	case errors.As(err, &refused):
		return refused.Problem
	case errors.As(err, &parameter):
		return fieldProblem(http.StatusBadRequest, parameter.name, parameter.err)
	case errors.Is(err, events.ErrTooLarge):
		return fieldProblem(http.StatusRequestEntityTooLarge, "", err)
	case errors.Is(err, events.ErrSyntax):
		if errors.As(err, &field) {
			return fieldProblem(http.StatusBadRequest, field.Field, field.Err)
		}
		return fieldProblem(http.StatusBadRequest, "", err)
	case errors.As(err, &field):
		return fieldProblem(http.StatusUnprocessableEntity, field.Field, field.Err)
	case errors.Is(err, ErrKeyReused):
		return fieldProblem(http.StatusUnprocessableEntity, "Idempotency-Key", err)
	case errors.Is(err, game.ErrConflict):
		return conflictProblem(err)
	case errors.Is(err, ErrUnknown):
		return plainProblem(http.StatusNotFound, err)
	case events.IsUnavailable(err), errors.Is(err, ErrBusy), errors.Is(err, errManyJoins), errors.Is(err, game.ErrAhead), errors.Is(err, game.ErrUnsaved),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return plainProblem(http.StatusServiceUnavailable, err)
	}
	return plainProblem(http.StatusInternalServerError, err)
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

func (s *Service) problem(r *fasthttp.RequestCtx, err error) {
	p := newProblem(err)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, errManyJoins) { // of those there are too many to be told of each
		s.Log.Warn("request failed", "method", string(r.Method()), "path", string(r.Path()), "status", p.Status, "err", err)
	}
	writeProblem(r, p)
}

var errPanicked = errors.New("a bug in the gateway, see its log; what was asked for may have been done or not: repeat it with its Idempotency-Key")

// panicked keeps the mistake in one request from ending all others.
func (s *Service) panicked(r *fasthttp.RequestCtx, reason any) {
	s.Log.Error("request panicked", "method", string(r.Method()), "path", string(r.Path()), "reason", reason, "stack", string(debug.Stack()))
	writeProblem(r, plainProblem(http.StatusInternalServerError, errPanicked))
}

// unknown answers what is not part of the interface.
func unknown(status int) fasthttp.RequestHandler {
	return func(r *fasthttp.RequestCtx) {
		writeProblem(r, plainProblem(status, fmt.Errorf("%s %s is not part of this interface", r.Method(), r.Path())))
	}
}

func writeProblem(r *fasthttp.RequestCtx, p *Problem) {
	out, _ := json.Marshal(p) // strings and numbers only
	if p.Status == http.StatusServiceUnavailable {
		r.Response.Header.Set("Retry-After", "1")
	}
	r.SetStatusCode(p.Status)
	r.SetContentType("application/problem+json")
	r.SetBody(append(out, '\n'))
}
