package hot

import (
	"context"
	"errors"
	"slices"

	"github.com/redis/go-redis/v9"
)

// A call is one run of a function.
type call struct{ keys, argv []string }

// callEach runs a function once for each call, in one pipeline, and returns the replies.
// Where a server does not know the function, all calls run a second time, so it must be
// one that may run twice.
func (s *Store) callEach(ctx context.Context, f function, calls []call) ([]*redis.Cmd, error) {
	replies := make([]*redis.Cmd, len(calls))
	err := s.pipelined(ctx, func(p redis.Pipeliner) {
		for i, c := range calls {
			replies[i] = queue(ctx, p, f, c.keys, c.argv...)
		}
	})
	return replies, err
}

// queue adds one run of a function to a pipeline.
func queue(ctx context.Context, p redis.Pipeliner, f function, keys []string, argv ...string) *redis.Cmd {
	cmd := command(ctx, nil, f, keys, argv)
	_ = p.Process(ctx, cmd)
	return cmd
}

// pipelined sends what fill queues, and once more where a server did not know the
// functions: fill, and what it queues, must be safe to repeat. The error is the first
// one that is not redis.Nil.
func (s *Store) pipelined(ctx context.Context, fill func(redis.Pipeliner)) error {
	return s.sendAll(ctx, s.rdb.Pipelined, fill)
}

// transaction is pipelined in MULTI and EXEC: nothing happens in between.
func (s *Store) transaction(ctx context.Context, fill func(redis.Pipeliner)) error {
	return s.sendAll(ctx, s.rdb.TxPipelined, fill)
}

// A sender sends what a function queues, and returns that.
type sender func(context.Context, func(redis.Pipeliner) error) ([]redis.Cmder, error)

func (s *Store) sendAll(ctx context.Context, send sender, fill func(redis.Pipeliner)) error {
	filled := func(p redis.Pipeliner) error {
		fill(p)
		return nil
	}
	queued, err := send(ctx, filled)
	if slices.ContainsFunc(queued, func(cmd redis.Cmder) bool { return isUnknown(cmd.Err()) }) {
		if err := s.define(ctx); err != nil {
			return err
		}
		queued, err = send(ctx, filled)
	}
	if !errors.Is(err, redis.Nil) {
		return err
	}
	// err is that of the first command that failed. On a cluster, the nil of one server
	// may hide that another is away.
	for _, cmd := range queued {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}
