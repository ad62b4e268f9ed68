package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// failoverTimeout bounds what a replica may take to have all its master has.
const failoverTimeout = 30 * time.Second

// redisFailover kills the master while its replica is 0.2 to 1 s behind; what
// the replica has goes on at the master's address. Clients see another server,
// which lacks what was answered last.
func redisFailover(ctx context.Context, r *rig, x *rand.Rand) error {
	mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), failoverTimeout)
	defer cancel()
	replica, err := r.replicate(mending, r.redis.Addr())
	if err != nil {
		return fmt.Errorf("replicate: %w", err)
	}
	// A replica that is stopped applies nothing of what the master sends.
	if err := replica.Signal(syscall.SIGSTOP); err != nil {
		return errors.Join(err, replica.Kill())
	}
	pause(ctx, 200*time.Millisecond+time.Duration(x.IntN(800))*time.Millisecond)
	if err := errors.Join(r.redis.Kill(), replica.Kill()); err != nil {
		return err
	}
	old := r.redis.Config()
	promoted := old
	promoted.Dir = replica.Config().Dir
	server, err := stack.StartRedis(mending, promoted)
	if err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	r.redis = server
	return os.RemoveAll(old.Dir)
}

// replicate starts a replica of the rig's Redis, which it finds at an address, and returns
// when it has all.
func (r *rig) replicate(ctx context.Context, at string) (*stack.Redis, error) {
	dir, err := os.MkdirTemp(filepath.Dir(r.redis.Config().Dir), "redis-")
	if err != nil {
		return nil, err
	}
	replica, err := stack.StartRedis(ctx, stack.RedisConfig{Dir: dir})
	if err != nil {
		return nil, err
	}
	if err := followRedis(ctx, replica, r.redis, at); err != nil {
		return nil, errors.Join(err, replica.Kill())
	}
	return replica, nil
}

// followRedis makes a server a replica of another one, which it finds at an address, and
// returns when it has all of that.
func followRedis(ctx context.Context, server, master *stack.Redis, at string) error {
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		return err
	}
	// By default a master waits 5 s for more replicas.
	if err := askRedis(ctx, master, func(c *redis.Client) error {
		return c.ConfigSet(ctx, "repl-diskless-sync-delay", "0").Err()
	}); err != nil {
		return err
	}
	return askRedis(ctx, server, func(c *redis.Client) error {
		if err := c.ReplicaOf(ctx, host, port).Err(); err != nil {
			return err
		}
		return awaitReplica(ctx, c)
	})
}

func askRedis(ctx context.Context, server *stack.Redis, ask func(*redis.Client) error) error {
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	defer func() { _ = client.Close() }()
	return ask(client)
}

// awaitReplica returns when a replica has copied its master, and written the
// copy to its own file.
func awaitReplica(ctx context.Context, c *redis.Client) error {
	want := []string{
		"master_link_status:up", "aof_enabled:1", "aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0",
		"aof_last_bgrewrite_status:ok",
	}
	for {
		replication, err := c.Info(ctx, "replication").Result()
		if err != nil {
			return err
		}
		persistence, err := c.Info(ctx, "persistence").Result()
		if err != nil {
			return err
		}
		missing := ""
		for _, line := range want {
			if !strings.Contains(replication+persistence, line+"\r\n") {
				missing = line
			}
		}
		if missing == "" {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("replica has not %s: %w", missing, ctx.Err())
		}
		pause(ctx, 10*time.Millisecond)
	}
}
