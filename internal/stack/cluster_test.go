package stack_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestClusterKeepsKeysOnAllNodes(t *testing.T) {
	t.Parallel()
	cluster := stacktest.RedisCluster(t)
	ctx := within(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()})
	defer client.Close()

	for i := range 100 {
		must(t, client.Set(ctx, fmt.Sprintf("keeps-keys:%d", i), i, 0).Err())
	}

	for i, node := range cluster.Nodes {
		one := redisClient(t, node.URL())
		if n, err := one.DBSize(ctx).Result(); err != nil || n == 0 {
			t.Errorf("node %d has %d keys (%v)", i, n, err)
		}
	}
}

func TestClusterNodeComesBack(t *testing.T) {
	t.Parallel()
	cluster, err := stack.StartRedisCluster(within(t), tempDir(t), 2)
	must(t, err)
	t.Cleanup(func() { must(t, cluster.Stop(context.Background())) })
	ctx := within(t)
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()})
	defer client.Close()
	must(t, client.Set(ctx, "comes-back", 42, 0).Err())

	for i, node := range cluster.Nodes {
		must(t, node.Kill())
		cluster.Nodes[i], err = stack.StartRedis(ctx, node.Config())
		must(t, err)
	}

	must(t, retry(ctx, func() error {
		n, err := client.Get(ctx, "comes-back").Int()
		if err == nil && n != 42 {
			t.Errorf("remembers %d", n)
		}
		return err
	}))
}

// retry is for what a cluster needs to agree on first.
func retry(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestClusterRefusesDirThatIsNotEmpty(t *testing.T) {
	t.Parallel()
	r := stacktest.OwnRedis(t)

	_, err := stack.StartRedisCluster(within(t), r.Config().Dir, 3)

	if err == nil {
		t.Error("a cluster was started among another server's files")
	}
}
