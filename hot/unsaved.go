package hot

import (
	"context"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// Unsaved is what waits to be saved.
type Unsaved struct {
	Characters int64 // that have marks
	Looked     int   // of those, how many Rows and Oldest are about
	Rows       map[events.Scope]int
	Oldest     time.Time // when the oldest of these rows was changed; zero for none
}

// unsavedChunk is how many characters' marks one round trip reads.
const unsavedChunk = 500

// CountUnsaved counts what is dirty, row by row for the first limit characters.
// The contexts, which no saver stores, count under the scope "".
func (s *Store) CountUnsaved(ctx context.Context, limit int) (*Unsaved, error) {
	out := &Unsaved{Rows: make(map[events.Scope]int)}
	var err error
	if out.Characters, err = s.CountDirty(ctx); err != nil || out.Characters == 0 {
		return out, err
	}
	chars, err := s.before(ctx, indexDirty, time.UnixMicro(1<<53), limit)
	if err != nil {
		return nil, err
	}
	for ; len(chars) > 0; chars = chars[min(unsavedChunk, len(chars)):] {
		marks, err := s.Marks(ctx, chars[:min(unsavedChunk, len(chars))])
		if err != nil {
			return nil, err
		}
		out.add(marks)
	}
	return out, nil
}

func (u *Unsaved) add(marks map[events.CharID]events.RowVersions) {
	u.Looked += len(marks)
	for _, rows := range marks {
		for row, version := range rows {
			u.Rows[row.Scope()]++
			if at := version.Time(); u.Oldest.IsZero() || at.Before(u.Oldest) {
				u.Oldest = at
			}
		}
	}
}

// CountDirty is the number of characters that have marks.
func (s *Store) CountDirty(ctx context.Context) (int64, error) { return s.count(ctx, indexDirty) }
