package hot

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

// Arrived reports for each trade whether its receiver remembers it: by the key
// of its request, or among the trades that are not saved.
func (s *Store) Arrived(ctx context.Context, trades []events.Transfer, keys []string) ([]bool, error) {
	if len(trades) == 0 {
		return nil, nil
	}
	type asked struct {
		answered, before *redis.BoolCmd
		known            *redis.StringCmd
	}
	replies := make([]asked, len(trades))
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, t := range trades {
			replies[i] = asked{
				p.HExists(ctx, keyRequests(t.To), keys[i]), p.HExists(ctx, keyRequestsOld(t.To), keys[i]),
				p.HGet(ctx, keyTransfers(t.To), t.ID.String()),
			}
		}
	})
	if err != nil {
		return nil, fmt.Errorf("which of %d trades have arrived: %w", len(trades), unavailable(err))
	}
	arrived := make([]bool, len(trades))
	for i, t := range trades {
		if known := replies[i].known.Val(); known != "" {
			if t, err = decodeTransfer(keyTransfers(t.To), t.ID.String(), known); err != nil {
				return nil, err
			}
		}
		arrived[i] = replies[i].answered.Val() || replies[i].before.Val() || t.Completed()
	}
	return arrived, nil
}
