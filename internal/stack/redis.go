package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisConfig says where a Redis runs.
type RedisConfig struct {
	// Dir holds the data and the log. It is the server's own.
	Dir string

	// Port is where it listens, on 127.0.0.1.
	//
	// Defaults to a free one.
	Port int

	// Args go after our own and override them, as in "--appendfsync", "always".
	Args []string
}

// A Redis is a running Redis server. It appends every write to a file before
// it answers and syncs that file once a second: a write it acknowledged
// survives Kill, and a power cut takes the last second.
type Redis struct {
	*Process
	config RedisConfig
}

// StartRedis starts a Redis server and returns when it has loaded its data and
// answers.
func StartRedis(ctx context.Context, cfg RedisConfig) (*Redis, error) {
	return retryStart(ctx, func() (*Redis, error) { return startRedis(ctx, cfg) })
}

func startRedis(ctx context.Context, cfg RedisConfig) (*Redis, error) {
	home, err := openRedisHome(ctx, cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	if err := home.reap(ctx); err != nil {
		home.close()
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	cfg.Dir = home.dir
	if cfg.Port, err = portOr(cfg.Port); err != nil {
		home.close()
		return nil, fmt.Errorf("start Redis: %w", err)
	}
	process, err := home.launch(cfg).start() // closes home when it ends
	if err != nil {
		return nil, err
	}
	r := &Redis{process, cfg}
	if err := awaitAnswer(ctx, process, r.answers); err != nil {
		_ = process.Kill()
		return nil, home.log.explain("Redis", err)
	}
	return r, nil
}

// answers rules out that somebody else's server has our port.
func (r *Redis) answers(ctx context.Context) error {
	// The client prints a line for each dial that fails.
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.Addr())
	if err != nil {
		return err
	}
	_ = conn.Close()
	client := r.client()
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil { // an error as long as it loads
		return err
	}
	info, err := client.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	if !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", r.Pid())) {
		return errors.New("another server has this port")
	}
	return nil
}

// client makes one plain connection. By default a failed dial is tried again
// five times, 100 ms apart, which is longer than the server needs to start.
func (r *Redis) client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:            r.Addr(),
		PoolSize:        1,
		MaxRetries:      -1,
		DialerRetries:   1,
		Protocol:        2,
		DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
	})
}

// Config is what StartRedis needs to start this server again, on the same
// port.
func (r *Redis) Config() RedisConfig { return r.config }

// Port is the TCP port.
func (r *Redis) Port() int { return r.config.Port }

// Addr is host and port.
func (r *Redis) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(r.config.Port)) }

// URL is the address of database 0.
func (r *Redis) URL() string { return "redis://" + r.Addr() + "/0" }
