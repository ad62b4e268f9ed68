package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// What may happen to Redis: it crashes and comes back with all it had, with what
// it had a second ago, or with nothing.

func redisRestart(ctx context.Context, r *rig, x *rand.Rand) error {
	if err := r.redis.Kill(); err != nil {
		return err
	}
	away(ctx, x)
	return r.startRedis(ctx)
}

func (r *rig) startRedis(ctx context.Context) error {
	server, err := stack.StartRedis(context.WithoutCancel(ctx), r.redis.Config())
	if err == nil {
		r.redis = server
		err = r.network.follow("REDIS_URL=" + server.URL())
	}
	return err
}

func redisEmptied(ctx context.Context, r *rig, _ *rand.Rand) error {
	client := redis.NewClient(&redis.Options{Addr: r.redis.Addr()})
	defer func() { _ = client.Close() }()
	return client.FlushAll(context.WithoutCancel(ctx)).Err()
}

// redisOlder loses what Redis had written in the last second, as a power cut
// does with appendfsync everysec.
func redisOlder(ctx context.Context, r *rig, _ *rand.Rand) error {
	files := filepath.Join(r.redis.Config().Dir, "appendonlydir")
	sizes, err := sizesOf(files)
	if err != nil {
		return err
	}
	pause(ctx, time.Second)
	if err := r.redis.Kill(); err != nil {
		return err
	}
	for name, size := range sizes {
		if err := os.Truncate(name, size); err != nil {
			return fmt.Errorf("lose the last second: %w", err)
		}
	}
	return r.startRedis(ctx)
}

func sizesOf(dir string) (map[string]int64, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.incr.aof"))
	if err != nil || len(names) == 0 {
		return nil, fmt.Errorf("no append-only file in %s: %w", dir, err)
	}
	sizes := make(map[string]int64)
	for _, name := range names {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		sizes[name] = info.Size()
	}
	return sizes, nil
}
