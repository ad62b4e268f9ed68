package stacktest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// databaseNumbers is how many tests may hold a database of the shared Redis at
// once.
const databaseNumbers = 4096

var (
	sharedRedis   shared[*stack.Redis]
	sharedCluster shared[*stack.RedisCluster]
	numbers       = numberPool{next: 1} // 0 is what a client takes by mistake
)

// Redis returns the address of an empty database of the shared server. Keys
// are the test's own; scripts, functions, channels and settings are not.
func Redis(t testing.TB) (url string) {
	t.Helper()
	dir := newDir(t, "r")
	server := sharedRedis.get(t, func(ctx context.Context) (*stack.Redis, error) {
		return stack.StartRedis(ctx, stack.RedisConfig{
			Dir:  dir,
			Args: []string{"--databases", fmt.Sprint(databaseNumbers)},
		})
	})
	number, ok := numbers.take()
	if !ok {
		t.Fatalf("more than %d tests at once use the shared Redis: raise databaseNumbers", databaseNumbers)
	}
	url = strings.TrimSuffix(server.URL(), "0") + fmt.Sprint(number)
	t.Cleanup(func() {
		if err := flush(url); err != nil {
			t.Errorf("empty the test's Redis database: %v", err)
			return
		}
		numbers.put(number)
	})
	return url
}

func flush(url string) error {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	opts.PoolSize = 1
	client := redis.NewClient(opts)
	defer client.Close()
	return client.FlushDB(context.Background()).Err()
}

// OwnRedis returns a server of the test's own.
func OwnRedis(t testing.TB) *stack.Redis {
	t.Helper()
	return RestartRedis(t, stack.RedisConfig{Dir: newDir(t, "r")})
}

// RestartRedis starts a stopped or killed OwnRedis again, given its Config.
func RestartRedis(t testing.TB, cfg stack.RedisConfig) *stack.Redis {
	t.Helper()
	return own(t, func(ctx context.Context) (*stack.Redis, error) { return stack.StartRedis(ctx, cfg) })
}

// clusterNodes is the fewest a cluster is usually run with.
const clusterNodes = 3

// RedisCluster returns the shared cluster. A cluster has one database, and
// tests share it: a test's keys have to bear names of its own. It takes more
// than 2 s to form, once.
func RedisCluster(t testing.TB) *stack.RedisCluster {
	t.Helper()
	dir := newDir(t, "c")
	return sharedCluster.get(t, func(ctx context.Context) (*stack.RedisCluster, error) {
		return stack.StartRedisCluster(ctx, dir, clusterNodes)
	})
}

// OwnRedisCluster returns a cluster of the test's own.
func OwnRedisCluster(t testing.TB) *stack.RedisCluster {
	t.Helper()
	dir := newDir(t, "c")
	return own(t, func(ctx context.Context) (*stack.RedisCluster, error) {
		return stack.StartRedisCluster(ctx, dir, clusterNodes)
	})
}

// A numberPool hands out database numbers: new ones first, so that a failed
// test's neighbour is not the one to find what it left.
type numberPool struct {
	mu   sync.Mutex
	next int
	free []int
}

func (p *numberPool) take() (number int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next < databaseNumbers {
		p.next++
		return p.next - 1, true
	}
	if len(p.free) == 0 {
		return 0, false
	}
	number, p.free = p.free[0], p.free[1:]
	return number, true
}

func (p *numberPool) put(number int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = append(p.free, number)
}
