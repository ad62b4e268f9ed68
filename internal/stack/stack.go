package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says where a Stack runs.
type Config struct {
	// Dir holds the data of all three, or of two: see PostgresDir.
	Dir string

	// NATSConfig is a nats-server configuration file.
	//
	// NATSConfig, NATSHost and NATSPort default as in NATSConfig the type.
	NATSConfig string
	NATSHost   string
	NATSPort   int

	// PostgresPort and RedisPort are on 127.0.0.1.
	//
	// Default to free ones.
	PostgresPort, RedisPort int

	// Progress gets a line about each step. Calls do not overlap.
	//
	// Defaults to silence.
	Progress func(line string)
}

// A Stack is one of each server. Who restarts one, as in
// StartPostgres(ctx, s.Postgres.Config()), puts the new one in its field: Close
// stops what the fields hold.
type Stack struct {
	Postgres *Postgres
	Redis    *Redis
	NATS     *NATS

	dir      string
	lock     *dirLock
	progress func(string)
	close    func(context.Context) error
}

// closeTimeout bounds the cleaning up after a start that did not succeed,
// perhaps because its context is done.
const closeTimeout = 10 * time.Second

// Start starts the three servers side by side and writes Dir/env, which a
// shell can source: NATS_URL, REDIS_URL, DATABASE_URL. If one does not start,
// none is left running. A directory where another stack runs gives a
// LockedError.
func Start(ctx context.Context, cfg Config) (_ *Stack, err error) {
	s := &Stack{progress: serial(cfg.Progress)}
	if s.dir, err = makeDir(cfg.Dir); err != nil {
		return nil, fmt.Errorf("start stack: %w", err)
	}
	if s.lock, err = lockDir(s.dir, "stack"); err != nil {
		return nil, err
	}
	s.close = onceWith(s.shut)
	if err = s.startAll(ctx, cfg); err == nil {
		err = s.writeEnv()
	}
	if err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

func (s *Stack) startAll(ctx context.Context, cfg Config) error {
	if err := removeMatches(s.envFile()); err != nil { // a killed run's
		return err
	}
	postgresDir, err := PostgresDir(s.dir)
	if err == nil {
		err = claim(postgresDir)
	}
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.Postgres, err = report(s, "PostgreSQL", postgresDir, func() (*Postgres, error) {
			return StartPostgres(ctx, PostgresConfig{Dir: postgresDir, Port: cfg.PostgresPort})
		})
		return err
	})
	group.Go(func() (err error) {
		dir := filepath.Join(s.dir, "redis")
		s.Redis, err = report(s, "Redis", dir, func() (*Redis, error) {
			return StartRedis(ctx, RedisConfig{Dir: dir, Port: cfg.RedisPort})
		})
		return err
	})
	group.Go(func() (err error) {
		dir := filepath.Join(s.dir, "nats")
		s.NATS, err = report(s, "NATS", dir, func() (*NATS, error) {
			return StartNATS(ctx, NATSConfig{ConfigFile: cfg.NATSConfig, Host: cfg.NATSHost, Port: cfg.NATSPort, StoreDir: dir})
		})
		return err
	})
	return group.Wait()
}

// report says that a server answers, where, and how long that took.
func report[T interface{ URL() string }](s *Stack, name, dir string, start func() (T, error)) (T, error) {
	began := time.Now()
	server, err := start()
	if err == nil {
		took := time.Since(began).Round(time.Millisecond)
		s.progress(fmt.Sprintf("%s on %s, data in %s (%s)", name, server.URL(), dir, took))
	}
	return server, err
}

// Dir is the stack's directory under its one true name.
func (s *Stack) Dir() string { return s.dir }

// Close stops the servers along the way of a change: Redis, NATS, PostgreSQL.
// Those who use them have to be done. When ctx ends early, the servers are
// killed. Close returns all errors; a second call returns the first's.
func (s *Stack) Close(ctx context.Context) error { return s.close(ctx) }

func (s *Stack) shut(ctx context.Context) error {
	var errs []error
	if s.Redis != nil {
		errs = append(errs, s.Redis.Stop(ctx))
	}
	if s.NATS != nil {
		errs = append(errs, s.NATS.Stop(ctx))
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop(ctx))
	}
	if err := os.Remove(s.envFile()); !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	return errors.Join(append(errs, s.lock.release())...)
}

// serial lets one call in at a time. A nil function becomes one that does
// nothing.
func serial(f func(string)) func(string) {
	var mu sync.Mutex
	return func(line string) {
		mu.Lock()
		defer mu.Unlock()
		if f != nil {
			f(line)
		}
	}
}

// onceWith is sync.OnceValue for a function of a context; the first one counts.
func onceWith(f func(context.Context) error) func(context.Context) error {
	var once sync.Once
	var err error
	return func(ctx context.Context) error {
		once.Do(func() { err = f(ctx) })
		return err
	}
}
