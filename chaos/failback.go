package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// redisFailback cuts the master off while its replica is 0.2 to 1 s behind, and does not
// end it. The replica leads for a while, with what it has; the other takes over what the
// replica did, and leads again: by the same process as before, with other data.
func redisFailback(ctx context.Context, r *rig, x *rand.Rand) error {
	mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), failoverTimeout)
	defer cancel()
	link, err := StartProxy(r.redis.Addr())
	if err != nil {
		return err
	}
	defer func() { _ = link.Close() }()
	replica, err := r.replicate(mending, link.Addr())
	if err != nil {
		return fmt.Errorf("replicate: %w", err)
	}
	defer func() { _ = errors.Join(replica.Kill(), os.RemoveAll(replica.Config().Dir)) }()
	link.Hang() // what the master sends from now on is lost
	pause(ctx, 200*time.Millisecond+time.Duration(x.IntN(800))*time.Millisecond)
	link.Cut()
	if err := r.handOver(mending, replica); err != nil {
		return fmt.Errorf("fail over: %w", err)
	}
	away(ctx, x)
	first := r.redis
	if err := followRedis(mending, first, replica, replica.Addr()); err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	return r.handOver(mending, first)
}

// handOver lets a server lead, and the programs find it.
func (r *rig) handOver(ctx context.Context, to *stack.Redis) error {
	err := askRedis(ctx, to, func(c *redis.Client) error { return c.ReplicaOf(ctx, "NO", "ONE").Err() })
	return errors.Join(err, r.network.follow("REDIS_URL="+to.URL()))
}
