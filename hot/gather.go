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

// newGatherer returns a gatherer that sends commands as one pipeline when many are under
// way.
//
// The client's own AutoPipeline is experimental and may send a command twice, which a
// commit must not be.
func newGatherer(rdb *redis.Client) *gather.Gatherer[*redis.Cmd] {
	return &gather.Gatherer[*redis.Cmd]{
		Under: mostSending, Most: mostGathered,
		Together: func(batch []gather.One[*redis.Cmd]) { exec(rdb, batch) },
	}
}

// exec runs a pipeline and leaves in each command its answer or its error. The client's
// timeouts bound it.
func exec(rdb *redis.Client, batch []gather.One[*redis.Cmd]) {
	ctx := context.Background()
	// The error is in each command, too.
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
