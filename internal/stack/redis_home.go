package stack

import (
	"context"
	"errors"
	"path/filepath"
	"strconv"
	"syscall"
)

// A redisHome is the directory of one Redis, locked.
type redisHome struct {
	dir         string
	path, argv0 string
	lock        *dirLock
	log         *serverLog
}

// openRedisHome finds the program and locks the directory. The caller closes
// it.
func openRedisHome(ctx context.Context, dir string) (*redisHome, error) {
	path, argv0, err := redisProgram()
	if err != nil {
		return nil, err
	}
	if dir, err = makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockServerDir(ctx, dir, "Redis")
	if err != nil {
		return nil, err
	}
	log, err := openLog(filepath.Join(dir, "redis.log"))
	if err != nil {
		return nil, errors.Join(err, lock.release())
	}
	return &redisHome{dir, path, argv0, lock, log}, nil
}

func (h *redisHome) close() {
	_ = h.log.Close()
	_ = h.lock.release()
}

func (h *redisHome) pidFile() string { return filepath.Join(h.dir, "redis.pid") }

func (h *redisHome) reap(ctx context.Context) error {
	return leftover{pidFile: h.pidFile(), dir: h.dir, stop: syscall.SIGTERM}.reap(ctx)
}

func (h *redisHome) launch(cfg RedisConfig) launch {
	return launch{
		ProcessConfig: ProcessConfig{
			Name:   "Redis",
			Path:   h.path,
			Args:   h.arguments(cfg),
			Stdout: h.log.File,
			Stderr: h.log.File,
		},
		argv0:      h.argv0,
		stopSignal: syscall.SIGTERM,
		released:   h.close,
	}
}

// arguments keep the process's title as it was started, by which reap
// recognises the server.
func (h *redisHome) arguments(cfg RedisConfig) []string {
	return append([]string{
		"--dir", h.dir,
		"--bind", "127.0.0.1",
		"--port", strconv.Itoa(cfg.Port),
		"--pidfile", h.pidFile(),
		"--set-proc-title", "no",
		"--save", "",
		"--appendonly", "yes",
		"--appendfsync", "everysec",
	}, cfg.Args...)
}
