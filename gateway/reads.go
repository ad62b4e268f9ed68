package gateway

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

var (
	errFrom   = errors.New("must be hot or cold")
	errLimit  = errors.New("must be an integer from 1 to 500")
	errBefore = errors.New("must be a version or an RFC 3339 time")
)

func (s *Service) getCharacter(ctx context.Context, c *call) (int, any, error) {
	read := s.Character
	switch from := c.query("from"); from {
	case "", "hot":
	case "cold":
		read = s.ColdCharacter
	default:
		return 0, nil, badParameter("from", errFrom)
	}
	view, err := read(ctx, c.char)
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
	text := c.query("limit")
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
	text := c.query("before")
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

var (
	errAsked = errors.New("must be a version, a positive integer")
	errWait  = errors.New("must be a duration like 500ms or 3s")
)

// getSaved answers GET /v1/characters/{char_id}/saved. With a version it waits
// until that is saved, at most for wait or ColdTimeout.
func (s *Service) getSaved(ctx context.Context, c *call) (int, any, error) {
	version, scopes, wait, err := c.awaited()
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, min(wait, s.ColdTimeout)+s.ActionTimeout)
	defer cancel()
	view, err := s.SavedUpTo(ctx, c.char)
	if err != nil {
		return 0, nil, err
	}
	if version == 0 {
		version = view.Version
	}
	if view.Saved = view.reached(version, scopes...); view.Saved || wait == 0 {
		return http.StatusOK, view, nil
	}
	waiting, stop := context.WithTimeout(ctx, min(wait, s.ColdTimeout))
	defer stop()
	if later, err := s.AwaitSaved(waiting, c.char, version, scopes...); err == nil {
		view = later
	}
	return http.StatusOK, view, nil
}

// awaited reads what is waited for. Without a wait, a version is waited for as
// long as the gateway allows.
func (c *call) awaited() (v events.Version, scopes []events.Scope, wait time.Duration, err error) {
	if text := c.query("version"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return 0, nil, 0, badParameter("version", errAsked)
		}
		v, wait = events.Version(n), math.MaxInt64/2
	}
	for _, text := range c.request.QueryArgs().PeekMulti("scope") {
		scope := events.Scope(text)
		if !scope.HasState() {
			return 0, nil, 0, badParameter("scope", fmt.Errorf("must be one of %v, not %q", events.Scopes(), scope))
		}
		scopes = append(scopes, scope)
	}
	if text := c.query("wait"); text != "" {
		if wait, err = time.ParseDuration(text); err != nil || wait < 0 {
			return 0, nil, 0, badParameter("wait", errWait)
		}
	}
	return v, scopes, wait, nil
}
