package savers

import (
	"context"

	"github.com/savepoint-games/savepoint/events"
)

// letterRows says which rows PostgreSQL must have, and at which version, for a
// dead letter to hold nothing that is missing: those that its event would have
// set. ok is false where nobody can tell: such a letter may be the only copy of
// a change, and stays until somebody looks at it.
//
// Nobody can tell where the event is of another character or scope than its letter, nor
// where the body cannot be read. Vitals are the exception: they are one row, which each
// event sets whole, and no event's version is more than events.MaxAhead above the time at
// which the stream stored it. A row above that is newer than whatever the letter says.
func letterRows(l events.DeadLetter) (char events.CharID, rows []events.Row, ok bool) {
	if e, err := events.Decode(l.Body); err == nil {
		if e.Scope != l.Scope || l.Char != 0 && e.CharID != l.Char {
			return 0, nil, false
		}
		rows := e.Rows()
		return e.CharID, rows, len(rows) > 0
	}
	if l.Scope != events.ScopeVitals || l.Char == 0 || l.Stored.IsZero() {
		return 0, nil, false
	}
	newer := events.Version(l.Stored.Add(events.MaxAhead).UnixMicro()) + 1
	return l.Char, []events.Row{{Key: events.RowVitals, Version: newer}}, true
}

// Resolved reports for each letter whether PostgreSQL has every row that its event would
// have set, as new or newer. It returns the error of asking PostgreSQL.
func Resolved(ctx context.Context, cold CleanupCold, letters []events.DeadLetter) ([]bool, error) {
	wanted := make(map[events.CharID]events.RowVersions)
	needs := make([]struct {
		char events.CharID
		rows []events.Row
		ok   bool
	}, len(letters))
	for i, l := range letters {
		n := &needs[i]
		if n.char, n.rows, n.ok = letterRows(l); !n.ok {
			continue
		}
		if wanted[n.char] == nil {
			wanted[n.char] = make(events.RowVersions)
		}
		wanted[n.char].Add(n.rows...)
	}
	resolved := make([]bool, len(letters))
	if len(wanted) == 0 {
		return resolved, nil
	}
	saved, err := cold.Rows(ctx, wanted)
	if err != nil {
		return nil, err
	}
	for i, n := range needs {
		resolved[i] = n.ok && saved[n.char].Has(n.rows...)
	}
	return resolved, nil
}

// lettersAtOnce is how many dead letters one sweep looks at. It goes on where
// the last one stopped, and begins anew at the end.
const lettersAtOnce = 500

// resolveLetters drops dead letters that a newer save has made up for.
func (s *sweep) resolveLetters(ctx context.Context) error {
	letters, next, err := s.Stream.LettersFrom(ctx, s.nextLetter, lettersAtOnce)
	if err != nil {
		return err
	}
	resolved, err := Resolved(ctx, s.Cold, letters)
	if err != nil {
		return err
	}
	for i, l := range letters {
		if !resolved[i] {
			continue
		}
		if s.over(ctx) {
			return nil // the next sweep sees these again
		}
		if err := s.Stream.DropLetter(ctx, l.Sequence); err != nil {
			return err
		}
		s.Metrics.resolved(l.Scope)
		s.Log.Info("dead letter is resolved: PostgreSQL has its rows, as new or newer",
			"sequence", l.Sequence, "subject", l.Subject, "char_id", l.Char, "reason", l.Reason)
	}
	s.nextLetter = next
	return nil
}
