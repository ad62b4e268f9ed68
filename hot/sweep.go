package hot

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

// What the sweeper asks for many characters at once.

// MarksOf returns what is dirty of some characters. Each of them is in the
// answer.
func (s *Store) MarksOf(ctx context.Context, chars []events.CharID) (map[events.CharID]map[events.RowKey]events.Version, error) {
	replies := make([]*redis.MapStringStringCmd, len(chars))
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, char := range chars {
			replies[i] = p.HGetAll(ctx, keyMarks(char))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("marks of %d characters: %w", len(chars), unavailable(err))
	}
	marks := make(map[events.CharID]map[events.RowKey]events.Version, len(chars))
	for i, char := range chars {
		marks[char] = readMarks(replies[i].Val())
	}
	return marks, nil
}

// ClearMany is ClearRows for many characters. One without any marks leaves the
// index of dirty ones, too.
func (s *Store) ClearMany(ctx context.Context, rows map[events.CharID]map[events.RowKey]events.Version) error {
	saved := make([]Saved, 0, len(rows))
	for char, versions := range rows {
		saved = append(saved, savedRows(char, versions))
	}
	return s.Clear(ctx, saved)
}

// Postpone lets Overdue pass over characters that are still dirty until their
// marks have become as old again as they are at the given times.
func (s *Store) Postpone(ctx context.Context, until map[events.CharID]time.Time) error {
	return s.move(ctx, indexDirty, until, redis.ZAddArgs{XX: true})
}

// LookLater lets Lost pass over characters that are in a context, as if they had
// entered it at a time.
func (s *Store) LookLater(ctx context.Context, chars []events.CharID, at time.Time) error {
	return s.move(ctx, indexOpen, all(chars, at), redis.ZAddArgs{XX: true, GT: true})
}

// KeepIdle lets Idle pass over characters as if they had been seen at a time.
// For those that were seen since, nothing changes.
func (s *Store) KeepIdle(ctx context.Context, chars []events.CharID, at time.Time) error {
	return s.move(ctx, indexIdle, all(chars, at), redis.ZAddArgs{XX: true, GT: true})
}

func all(chars []events.CharID, at time.Time) map[events.CharID]time.Time {
	times := make(map[events.CharID]time.Time, len(chars))
	for _, char := range chars {
		times[char] = at
	}
	return times
}

// move gives characters other places in an index that lists them.
func (s *Store) move(ctx context.Context, index string, to map[events.CharID]time.Time, how redis.ZAddArgs) error {
	if len(to) == 0 {
		return nil
	}
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for char, at := range to {
			how.Members = []redis.Z{{Score: float64(at.UnixMicro()), Member: char.String()}}
			p.ZAddArgs(ctx, s.indexes.key(index, char), how)
		}
	})
	if err != nil {
		return fmt.Errorf("move %d characters in index %s: %w", len(to), index, unavailable(err))
	}
	return nil
}

// EvictMany forgets those characters that nobody has seen since t and that are
// neither dirty nor in a context. It returns the others.
func (s *Store) EvictMany(ctx context.Context, chars []events.CharID, t time.Time) (stay []events.CharID, err error) {
	if len(chars) == 0 {
		return nil, nil
	}
	calls := make([]call, len(chars))
	for i, char := range chars {
		calls[i] = call{[]string{
			keyContexts(char), keyMarks(char), s.indexes.key(indexIdle, char),
			keyVitals(char), keyItems(char), keyProgress(char), keyScenarios(char), keyTransfers(char),
		}, []string{char.String(), strconv.FormatInt(t.UnixMicro(), 10)}}
	}
	replies, err := s.callEach(ctx, fnEvict, calls)
	if err != nil {
		return nil, fmt.Errorf("evict %d characters: %w", len(chars), unavailable(err))
	}
	for i, reply := range replies {
		if gone, _ := reply.Int(); gone != 1 {
			stay = append(stay, chars[i])
		}
	}
	return stay, nil
}

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
		marks, err := s.MarksOf(ctx, chars[:min(unsavedChunk, len(chars))])
		if err != nil {
			return nil, err
		}
		out.add(marks)
	}
	return out, nil
}

func (u *Unsaved) add(marks map[events.CharID]map[events.RowKey]events.Version) {
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
