package hot

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

// Saved says which rows of a character are stored, and at which version.
type Saved struct {
	Char events.CharID
	Rows map[events.RowKey]events.Version
	// Sessions are fights whose results are stored, up to SessionsAt; their
	// copies in Redis go.
	Sessions   []uuid.UUID
	SessionsAt events.Version
}

// Saved clears the marks of the rows that these events set: a saver has
// committed them.
func (s *Store) Saved(ctx context.Context, batch []events.StateChanged) error {
	chars := make(map[events.CharID]*Saved, len(batch))
	for i := range batch {
		chars[batch[i].CharID] = nil
	}
	marked, err := s.marked(ctx, slices.Collect(maps.Keys(chars)))
	if err != nil {
		return notCleared(len(chars), err)
	}
	saved := make([]Saved, len(marked))
	for i, char := range marked {
		saved[i] = Saved{Char: char, Rows: make(map[events.RowKey]events.Version)}
		chars[char] = &saved[i]
	}
	for i := range batch {
		if of := chars[batch[i].CharID]; of != nil {
			of.add(&batch[i])
		}
	}
	return s.Clear(ctx, saved)
}

func (s *Saved) add(e *events.StateChanged) {
	for _, row := range e.Rows() {
		s.Rows[row.Key] = max(s.Rows[row.Key], row.Version)
	}
	if e.Scope == events.ScopeCombat {
		s.Sessions = append(s.Sessions, e.SessionID)
		s.SessionsAt = max(s.SessionsAt, e.Version)
	}
}

// Clear removes the marks that the saved versions have overtaken. A mark that
// was set again since stays.
func (s *Store) Clear(ctx context.Context, saved []Saved) error {
	if len(saved) == 0 {
		return nil
	}
	calls := make([]call, len(saved))
	for i := range saved {
		calls[i].keys, calls[i].argv = s.clearArgs(&saved[i])
	}
	if _, err := s.callEach(ctx, fnClear, calls); err != nil {
		return notCleared(len(saved), err)
	}
	return nil
}

func notCleared(chars int, err error) error {
	return fmt.Errorf("clear marks of %d characters: %w", chars, unavailable(err))
}

// fewMarks is how many saved characters are cleared without asking first who has marks.
const fewMarks = 32

// marked leaves out the characters that have no marks. A replay, or what another
// saver has done already, consists of them; to ask costs a tenth of a script.
// An event leaves after its mark is set, so none is missed.
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

func (s *Store) clearArgs(saved *Saved) (keys, argv []string) {
	keys = []string{keyMarks(saved.Char), s.indexes.key(indexDirty, saved.Char), keyTransfers(saved.Char)}
	for _, id := range saved.Sessions {
		keys = append(keys, keySession(saved.Char, id))
	}
	argv = []string{saved.Char.String(), itoa(saved.SessionsAt)}
	for row, version := range saved.Rows {
		argv = append(argv, string(row), itoa(version))
	}
	return keys, argv
}

// ClearRows is Clear for the rows of one character. Fights among them lose
// their copies in Redis, too.
func (s *Store) ClearRows(ctx context.Context, char events.CharID, rows map[events.RowKey]events.Version) error {
	return s.Clear(ctx, []Saved{savedRows(char, rows)})
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

func savedRows(char events.CharID, rows map[events.RowKey]events.Version) Saved {
	saved := Saved{Char: char, Rows: rows}
	for row, version := range rows {
		if session, ok := row.Fight(); ok {
			saved.Sessions = append(saved.Sessions, session)
			saved.SessionsAt = max(saved.SessionsAt, version)
		}
	}
	return saved
}

// Marks returns what is dirty of a character.
func (s *Store) Marks(ctx context.Context, char events.CharID) (map[events.RowKey]events.Version, error) {
	values, err := s.rdb.HGetAll(ctx, keyMarks(char)).Result()
	if err != nil {
		return nil, fmt.Errorf("marks of character %d: %w", char, unavailable(err))
	}
	return readMarks(values), nil
}

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
