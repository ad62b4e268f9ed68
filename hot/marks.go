package hot

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

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
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for key, chars := range at {
			members := make([]string, len(chars))
			for i, char := range chars {
				members[i] = char.String()
			}
			scores[key] = p.ZMScore(ctx, key, members...)
		}
		return nil
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

// Overdue lists up to limit characters that have been dirty since before t.
func (s *Store) Overdue(ctx context.Context, t time.Time, limit int) ([]events.CharID, error) {
	return s.before(ctx, indexDirty, t, limit)
}

// Lost lists up to limit characters that are in a context and that nobody has
// seen since t. Those that were seen are looked at again later.
func (s *Store) Lost(ctx context.Context, t time.Time, limit int) ([]events.CharID, error) {
	chars, err := s.before(ctx, indexOpen, t, limit)
	if err != nil || len(chars) == 0 {
		return nil, err
	}
	seen := make([]*redis.StringCmd, len(chars))
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, char := range chars {
			seen[i] = p.HGet(ctx, keyContexts(char), "last_seen")
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("last seen of %d characters: %w", len(chars), unavailable(err))
	}
	return s.splitLost(ctx, chars, seen, t)
}

// InContext lists all characters that are in a context. One that enters or
// leaves one meanwhile may be among them, and one may be there twice.
func (s *Store) InContext(ctx context.Context) (chars []events.CharID, err error) {
	err = s.each(ctx, indexOpen, func(char events.CharID) bool {
		chars = append(chars, char)
		return true
	})
	return chars, err
}

func (s *Store) splitLost(ctx context.Context, chars []events.CharID, seen []*redis.StringCmd, t time.Time) (lost []events.CharID, err error) {
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, char := range chars {
			at, _ := seen[i].Int64()
			if at <= t.UnixMicro() {
				lost = append(lost, char)
				continue
			}
			p.ZAddXX(ctx, s.indexes.key(indexOpen, char), redis.Z{Score: float64(at), Member: char.String()})
		}
		return nil
	})
	return lost, unavailable(err)
}

// Idle lists up to limit characters that nobody has seen since t.
func (s *Store) Idle(ctx context.Context, t time.Time, limit int) ([]events.CharID, error) {
	return s.before(ctx, indexIdle, t, limit)
}

// CountDirty is the number of characters that have marks.
func (s *Store) CountDirty(ctx context.Context) (n int64, err error) {
	counts, err := s.counts(ctx, indexDirty)
	for _, count := range counts {
		n += count
	}
	return n, err
}

func (s *Store) before(ctx context.Context, index string, t time.Time, limit int) ([]events.CharID, error) {
	keys := s.indexes.all(index)
	by := &redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(t.UnixMicro(), 10), Count: int64(limit)}
	found := make([]*redis.StringSliceCmd, len(keys))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			found[i] = p.ZRangeByScore(ctx, key, by)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read index %s: %w", index, unavailable(err))
	}
	return readMembers(index, found, limit)
}

// readMembers reads up to limit characters of an index.
func readMembers(index string, found []*redis.StringSliceCmd, limit int) (chars []events.CharID, err error) {
	for _, members := range found {
		for _, member := range members.Val() {
			char, err := events.ParseCharID(member)
			if err != nil {
				return nil, fmt.Errorf("index %s: %w", index, err)
			}
			chars = append(chars, char)
			if len(chars) == limit {
				return chars, nil
			}
		}
	}
	return chars, nil
}

// Each calls yield with every character that Redis has, until it returns false.
func (s *Store) Each(ctx context.Context, yield func(events.CharID) bool) error {
	return s.each(ctx, indexIdle, yield)
}

func (s *Store) each(ctx context.Context, index string, yield func(events.CharID) bool) error {
	for _, key := range s.indexes.all(index) {
		var cursor uint64
		for {
			members, next, err := s.rdb.ZScan(ctx, key, cursor, "", 1000).Result()
			if err != nil {
				return fmt.Errorf("scan index %s: %w", key, unavailable(err))
			}
			for i := 0; i < len(members); i += 2 {
				char, err := events.ParseCharID(members[i])
				if err != nil {
					return fmt.Errorf("index %s: %w", key, err)
				}
				if !yield(char) {
					return nil
				}
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	return nil
}

// Evict forgets a character that nobody has seen since t, unless it is dirty or
// in a context. It reports whether it is gone.
func (s *Store) Evict(ctx context.Context, char events.CharID, t time.Time) (bool, error) {
	stay, err := s.EvictMany(ctx, []events.CharID{char}, t)
	return err == nil && len(stay) == 0, err
}
