package gateway

import (
	"context"
	"maps"
	"slices"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// SavedView says up to which version a character is in PostgreSQL.
type SavedView struct {
	CharID  events.CharID  `json:"char_id"`
	Version events.Version `json:"version"` // of the newest change
	// UpTo holds, for each scope, a version: PostgreSQL has every change of the scope at
	// or below it. It is Version where nothing is left to save, and 0 while PostgreSQL
	// has no version of a row that is left to save.
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

// SavedUpTo says up to which version each scope of a character is saved, 0 where
// PostgreSQL does not tell. It returns ErrUnknown for a character that nobody knows.
func (s *Service) SavedUpTo(ctx context.Context, char events.CharID) (*SavedView, error) {
	version, marks, err := s.marksOf(ctx, char)
	if err != nil {
		return nil, err
	}
	return newSavedView(char, version, marks, s.savedVersions(ctx, char, marks)), nil
}

// marksOf returns the newest version of a character, and what of it is not saved.
func (s *Service) marksOf(ctx context.Context, char events.CharID) (events.Version, events.RowVersions, error) {
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

// savedVersions asks PostgreSQL at which versions it has the rows that are marked.
func (s *Service) savedVersions(ctx context.Context, char events.CharID, marks events.RowVersions) events.RowVersions {
	if len(marks) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.ActionTimeout)
	defer cancel()
	saved, err := s.Cold.Rows(ctx, map[events.CharID]events.RowVersions{char: marks})
	if err != nil {
		s.Log.Debug("saves not looked for", "char_id", char, "err", err)
	}
	return saved[char]
}

// newSavedView does not go by the marks alone: a row has one mark, for its newest change,
// and only PostgreSQL knows which of the changes before that are saved.
func newSavedView(char events.CharID, version events.Version, marks, saved events.RowVersions) *SavedView {
	view := &SavedView{CharID: char, Version: version, UpTo: make(map[events.Scope]events.Version)}
	for _, scope := range events.Scopes() {
		view.UpTo[scope] = version
	}
	for row, mark := range marks {
		if upTo, ok := view.UpTo[row.Scope()]; ok && saved[row] < mark { // else the mark goes in a moment
			view.UpTo[row.Scope()] = min(upTo, max(saved[row], allBefore(row, mark)))
		}
	}
	return view
}

// allBefore returns the version up to which nothing of a marked row can be left to save.
// A fight changes once, when it ends; of other rows nothing is known.
func allBefore(row events.RowKey, mark events.Version) events.Version {
	if _, ok := row.Fight(); ok {
		return mark - 1
	}
	return 0
}

// AwaitSaved returns when PostgreSQL has every change of a character up to
// version v, in these scopes or in all, or when ctx is done; Saved in the answer
// says which. Whatever is killed after Saved, the rows are there.
func (s *Service) AwaitSaved(ctx context.Context, char events.CharID, v events.Version, scopes ...events.Scope) (*SavedView, error) {
	version, marks, err := s.marksOf(ctx, char)
	if err != nil {
		return nil, err
	}
	// A row whose mark is above v may have changed below it, too.
	var rows []events.Row
	for row, mark := range marks {
		scope := row.Scope()
		if scope != "" && allBefore(row, mark) < v && (len(scopes) == 0 || slices.Contains(scopes, scope)) {
			rows = append(rows, events.Row{Key: row, Version: min(mark, v)})
		}
	}
	reached := make(events.RowVersions)
	if s.waitFor(ctx, newAwaitedSave(map[events.CharID][]events.Row{char: rows})) {
		for _, row := range rows {
			reached[row.Key] = row.Version
		}
		maps.DeleteFunc(marks, func(row events.RowKey, mark events.Version) bool { return reached[row] == mark })
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.PublishTimeout)
	defer cancel()
	saved := s.savedVersions(short, char, marks)
	for row := range marks {
		reached[row] = max(reached[row], saved[row])
	}
	view := newSavedView(char, version, marks, reached)
	view.Saved = view.reached(v, scopes...)
	return view, nil
}
