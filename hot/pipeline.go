package hot

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// A call is one run of a script.
type call struct {
	keys []string
	argv []any
}

// runEach runs a script once for each call, in one pipeline, and returns the
// replies. Where a server does not know the script, all is run a second time:
// the script must be one that may run twice.
func (s *Store) runEach(ctx context.Context, script *redis.Script, calls []call) ([]*redis.Cmd, error) {
	replies, err := s.evalEach(ctx, script, calls)
	if !redis.HasErrorPrefix(err, "NOSCRIPT") {
		return replies, err
	}
	if err := script.Load(ctx, s.rdb).Err(); err != nil {
		return nil, err
	}
	return s.evalEach(ctx, script, calls)
}

func (s *Store) evalEach(ctx context.Context, script *redis.Script, calls []call) ([]*redis.Cmd, error) {
	replies := make([]*redis.Cmd, len(calls))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range calls {
			replies[i] = script.EvalSha(ctx, p, c.keys, c.argv...)
		}
		return nil
	})
	// The pipeline's error is the first; another server of a cluster may lack
	// the script all the same.
	for _, reply := range replies {
		if e := reply.Err(); redis.HasErrorPrefix(e, "NOSCRIPT") {
			return replies, e
		}
	}
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return replies, err
}
