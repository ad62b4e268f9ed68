package hot

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/internal/gather"
)

const (
	// mostSending is how many commands and pipelines may be under way: enough that a
	// gateway that has processors to spare need not gather.
	mostSending = 16
	// mostGathered bounds a pipeline.
	mostGathered = 128
)

// newGatherer lets commands go as one pipeline where many are under way.
//
// The client has something alike (AutoPipeline), which is experimental, and may
// send a command again. A commit must not be.
func newGatherer(rdb *redis.Client) *gather.Gatherer[*redis.Cmd] {
	return &gather.Gatherer[*redis.Cmd]{
		Under: mostSending, Most: mostGathered,
		Together: func(batch []gather.One[*redis.Cmd]) { exec(rdb, batch) },
	}
}

// exec leaves in each command its answer or its error. It is bounded by the
// client's timeouts.
func exec(rdb *redis.Client, batch []gather.One[*redis.Cmd]) {
	ctx := context.Background()
	// Each command has the error, too.
	_, _ = rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, one := range batch {
			if err := one.Ctx.Err(); err != nil {
				one.What.SetErr(err)
				continue
			}
			_ = p.Process(ctx, one.What)
		}
		return nil
	})
}
