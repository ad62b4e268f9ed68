package hot

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

// Saved clears the marks of the rows that these events set: a saver has
// committed them.
func (s *Store) Saved(ctx context.Context, batch []events.StateChanged) error {
	chars := make(map[events.CharID]bool, len(batch))
	for i := range batch {
		chars[batch[i].CharID] = true
	}
	marked, err := s.marked(ctx, slices.Collect(maps.Keys(chars)))
	if err != nil {
		return notCleared(len(chars), err)
	}
	saved := make(map[events.CharID]events.RowVersions, len(marked))
	for _, char := range marked {
		saved[char] = make(events.RowVersions)
	}
	for i := range batch {
		if rows := saved[batch[i].CharID]; rows != nil {
			rows.Add(batch[i].Rows()...)
		}
	}
	return s.Clear(ctx, saved)
}

// Clear removes the marks of rows that are stored, at these versions. A mark that was set
// again at a higher version stays. Fights among the rows lose their copies in Redis, too,
// and a character without any marks leaves the index of dirty ones.
func (s *Store) Clear(ctx context.Context, saved map[events.CharID]events.RowVersions) error {
	if len(saved) == 0 {
		return nil
	}
	calls := make([]call, 0, len(saved))
	for char, rows := range saved {
		calls = append(calls, s.clearing(char, rows))
	}
	if _, err := s.callEach(ctx, fnClear, calls); err != nil {
		return notCleared(len(saved), err)
	}
	return nil
}

func (s *Store) clearing(char events.CharID, rows events.RowVersions) call {
	keys := []string{keyMarks(char), s.indexes.key(indexDirty, char), keyTransfers(char)}
	argv := []string{char.String(), ""}
	var fights events.Version
	for row, version := range rows {
		argv = append(argv, string(row), itoa(version))
		if session, ok := row.Fight(); ok {
			keys = append(keys, keySession(char, session))
			fights = max(fights, version)
		}
	}
	argv[1] = itoa(fights)
	return call{keys, argv}
}

func notCleared(chars int, err error) error {
	return fmt.Errorf("clear marks of %d characters: %w", chars, unavailable(err))
}

// fewMarks is how many saved characters are cleared without asking first who has marks.
const fewMarks = 32

// marked leaves out the characters that have no marks. A replay consists of such
// characters, and so does a batch that another saver has done already; asking costs a
// tenth of a script. An event leaves after its mark is set, so none is missed.
func (s *Store) marked(ctx context.Context, chars []events.CharID) ([]events.CharID, error) {
	if len(chars) <= fewMarks {
		return chars, nil
	}
	at := make(map[string][]events.CharID)
	for _, char := range chars {
		key := s.indexes.key(indexDirty, char)
		at[key] = append(at[key], char)
	}
	scores := make(map[string]*redis.FloatSliceCmd, len(at))
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for key, chars := range at {
			members := make([]string, len(chars))
			for i, char := range chars {
				members[i] = char.String()
			}
			scores[key] = p.ZMScore(ctx, key, members...)
		}
	})
	if err != nil {
		return nil, err
	}
	var marked []events.CharID
	for key, chars := range at {
		for i, score := range scores[key].Val() {
			if score != 0 {
				marked = append(marked, chars[i])
			}
		}
	}
	return marked, nil
}

// Marks returns the dirty rows of some characters. Each of chars is in the answer.
func (s *Store) Marks(ctx context.Context, chars []events.CharID) (map[events.CharID]events.RowVersions, error) {
	replies := make([]*redis.MapStringStringCmd, len(chars))
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, char := range chars {
			replies[i] = p.HGetAll(ctx, keyMarks(char))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("marks of %d characters: %w", len(chars), unavailable(err))
	}
	marks := make(map[events.CharID]events.RowVersions, len(chars))
	for i, char := range chars {
		marks[char] = readMarks(replies[i].Val())
	}
	return marks, nil
}
