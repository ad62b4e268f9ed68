package rig

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Versions names the servers with their versions, as in "PostgreSQL 15.18".
func (r *Rig) Versions(ctx context.Context) (out []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if r.DB != nil {
		var version string
		if err := r.DB.QueryRow(ctx, "SHOW server_version").Scan(&version); err != nil {
			return nil, fmt.Errorf("version of PostgreSQL: %w", err)
		}
		number, _, _ := strings.Cut(version, " ")
		out = append(out, "PostgreSQL "+number)
	}
	if r.redis != nil {
		version, err := redisVersion(ctx, r.redis.URL())
		if err != nil {
			return nil, fmt.Errorf("version of Redis: %w", err)
		}
		out = append(out, "Redis "+version)
	}
	if r.NC != nil {
		out = append(out, "nats-server "+r.NC.ConnectedServerVersion())
	}
	return out, nil
}

func redisVersion(ctx context.Context, url string) (string, error) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		return "", err
	}
	client := redis.NewClient(opts)
	defer client.Close()
	info, err := client.Info(ctx, "server").Result()
	_, after, _ := strings.Cut(info, "redis_version:")
	version, _, _ := strings.Cut(after, "\r\n")
	return version, err
}
