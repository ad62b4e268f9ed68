package hot

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

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
	err = s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, char := range chars {
			seen[i] = p.HGet(ctx, keyContexts(char), "last_seen")
		}
	})
	if err != nil {
		return nil, fmt.Errorf("last seen of %d characters: %w", len(chars), unavailable(err))
	}
	var lost []events.CharID
	later := make(map[events.CharID]time.Time)
	for i, char := range chars {
		micros, _ := seen[i].Int64()
		if at := time.UnixMicro(micros); at.After(t) {
			later[char] = at
		} else {
			lost = append(lost, char)
		}
	}
	return lost, s.move(ctx, indexOpen, later, redis.ZAddArgs{XX: true})
}

// InContext lists all characters that are in a context. A character that enters or leaves
// one meanwhile may or may not be listed, and a character may be listed twice.
func (s *Store) InContext(ctx context.Context) (chars []events.CharID, err error) {
	err = s.each(ctx, indexOpen, func(char events.CharID) bool {
		chars = append(chars, char)
		return true
	})
	return chars, err
}

// Idle lists up to limit characters that nobody has seen since t.
func (s *Store) Idle(ctx context.Context, t time.Time, limit int) ([]events.CharID, error) {
	return s.before(ctx, indexIdle, t, limit)
}

// PostponeOverdue moves characters that are still dirty to the given times in the index:
// Overdue passes over them until those are overdue.
func (s *Store) PostponeOverdue(ctx context.Context, until map[events.CharID]time.Time) error {
	return s.move(ctx, indexDirty, until, redis.ZAddArgs{XX: true})
}

// PostponeLost lets Lost pass over characters in a context as if they had entered it at
// that time, if that is later than their place in the index.
func (s *Store) PostponeLost(ctx context.Context, chars []events.CharID, at time.Time) error {
	return s.move(ctx, indexOpen, all(chars, at), redis.ZAddArgs{XX: true, GT: true})
}

// PostponeIdle lets Idle pass over characters as if they had been seen at that time.
// Nothing changes for those that were seen later.
func (s *Store) PostponeIdle(ctx context.Context, chars []events.CharID, at time.Time) error {
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

func (s *Store) before(ctx context.Context, index string, t time.Time, limit int) ([]events.CharID, error) {
	keys := s.indexes.all(index)
	by := &redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(t.UnixMicro(), 10), Count: int64(limit)}
	found := make([]*redis.StringSliceCmd, len(keys))
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, key := range keys {
			found[i] = p.ZRangeByScore(ctx, key, by)
		}
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
