package hot

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

// Count is how many characters Redis has.
func (s *Store) Count(ctx context.Context) (int64, error) { return s.count(ctx, indexIdle) }

// count is how many characters an index lists.
func (s *Store) count(ctx context.Context, index string) (n int64, err error) {
	counts, err := s.counts(ctx, index)
	for _, count := range counts {
		n += count
	}
	return n, err
}

// counts is how many characters each key of an index lists.
func (s *Store) counts(ctx context.Context, index string) ([]int64, error) {
	keys := s.indexes.all(index)
	replies := make([]*redis.IntCmd, len(keys))
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, key := range keys {
			replies[i] = p.ZCard(ctx, key)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("count index %s: %w", index, unavailable(err))
	}
	counts := make([]int64, len(keys))
	for i, reply := range replies {
		counts[i] = reply.Val()
	}
	return counts, nil
}

// Sample returns up to n characters that Redis has, by random places in the
// index of all. One may be among them twice.
func (s *Store) Sample(ctx context.Context, random *rand.Rand, n int) ([]events.CharID, error) {
	counts, err := s.counts(ctx, indexIdle)
	if err != nil {
		return nil, err
	}
	var total int64
	for _, count := range counts {
		total += count
	}
	if total == 0 {
		return nil, nil
	}
	keys := s.indexes.all(indexIdle)
	found := make([]*redis.StringSliceCmd, n)
	err = s.pipelined(ctx, func(p redis.Pipeliner) {
		for i := range found {
			key, rank := place(counts, random.Int64N(total))
			found[i] = p.ZRange(ctx, keys[key], rank, rank)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("sample %d characters: %w", n, unavailable(err))
	}
	return readMembers(indexIdle, found, n)
}

// place finds the nth of all members: the number of its key and its rank there.
func place(counts []int64, n int64) (key int, rank int64) {
	for key, count := range counts {
		if n < count {
			return key, n
		}
		n -= count
	}
	return 0, 0 // n is below the sum of the counts
}
