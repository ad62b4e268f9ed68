package gateway

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// SavedView says up to which version a character is in PostgreSQL.
type SavedView struct {
	CharID  events.CharID  `json:"char_id"`
	Version events.Version `json:"version"` // of the newest change
	// UpTo holds, for each scope, a version: PostgreSQL has every change of the
	// scope at or below it. It is Version where nothing is left to save.
	UpTo map[events.Scope]events.Version `json:"saved_up_to"`
	// Saved tells whether UpTo has reached the version that was asked for, in
	// the scopes that were asked for.
	Saved bool `json:"saved"`
}

// reached reports whether the scopes, or all, are saved up to version v.
func (s *SavedView) reached(v events.Version, scopes ...events.Scope) bool {
	for scope, upTo := range s.UpTo {
		if upTo < v && (len(scopes) == 0 || slices.Contains(scopes, scope)) {
			return false
		}
	}
	return true
}

// SavedUpTo says up to which version each scope of a character is saved. It
// returns ErrUnknown for a character that nobody knows.
func (s *Service) SavedUpTo(ctx context.Context, char events.CharID) (*SavedView, error) {
	version, marks, err := s.marksOf(ctx, char)
	if err != nil {
		return nil, err
	}
	return newSavedView(char, version, marks), nil
}

// marksOf returns the newest version of a character, and what of it is not saved.
func (s *Service) marksOf(ctx context.Context, char events.CharID) (events.Version, map[events.RowKey]events.Version, error) {
	// The copy has to be verified: one that Redis brought back older may lack
	// marks.
	loaded, err := s.load(ctx, char, game.Want{Dirty: true})
	if err != nil {
		return 0, nil, err
	}
	if loaded.Version == 0 {
		return 0, nil, ErrUnknown
	}
	return loaded.Version, loaded.Dirty, nil
}

func newSavedView(char events.CharID, version events.Version, marks map[events.RowKey]events.Version) *SavedView {
	view := &SavedView{CharID: char, Version: version, UpTo: make(map[events.Scope]events.Version)}
	for _, scope := range events.Scopes() {
		view.UpTo[scope] = version
	}
	for row, mark := range marks {
		if upTo, ok := view.UpTo[row.Scope()]; ok {
			view.UpTo[row.Scope()] = min(upTo, mark-1)
		}
	}
	return view
}

// AwaitSaved returns when PostgreSQL has every change of a character up to
// version v, in these scopes or in all, or when ctx is done; Saved in the answer
// says which. Whatever is killed after Saved, the rows are there.
func (s *Service) AwaitSaved(ctx context.Context, char events.CharID, v events.Version, scopes ...events.Scope) (*SavedView, error) {
	version, marks, err := s.marksOf(ctx, char)
	if err != nil {
		return nil, err
	}
	var rows []events.Row
	for row, mark := range marks {
		scope := row.Scope()
		if scope != "" && mark <= v && (len(scopes) == 0 || slices.Contains(scopes, scope)) {
			rows = append(rows, events.Row{Key: row, Version: mark})
		}
	}
	if s.awaitSaved(ctx, newAwaitedSave(map[events.CharID][]events.Row{char: rows})) {
		for _, row := range rows {
			delete(marks, row.Key) // it goes in a moment, if it has not
		}
	}
	view := newSavedView(char, version, marks)
	view.Saved = view.reached(v, scopes...)
	return view, nil
}

var (
	errAsked  = errors.New("must be a version, a positive integer")
	errWait   = errors.New("must be a duration like 500ms or 3s")
	errScopes = errors.New("must be a scope that is saved")
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
			return 0, nil, 0, badParameter("scope", errScopes)
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
