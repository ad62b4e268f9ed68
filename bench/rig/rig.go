// Package rig starts what measurements need: private servers, each a process of
// its own so that its CPU time can be told, and the product's own programs as
// they are shipped. Durability is the product's: PostgreSQL with fsync and
// synchronous commits, Redis with its append-only file, JetStream on files.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/stack"
)

// Config says what to start.
type Config struct {
	// Bin is the directory of the built programs.
	Bin string
	// Dir holds the data and logs; PostgreSQL's own user must be able to enter it.
	//
	// Defaults to a new one below the system's, which Close removes.
	Dir string
	// Which servers to start. NATS gets its streams, PostgreSQL its schema.
	Redis, NATS, Postgres bool
	// NATSServers is how many NATS servers there are, and replicas of each stream: more
	// than one are a cluster.
	//
	// Defaults to 1.
	NATSServers int
	// Log gets what servers and programs print.
	//
	// Defaults to Dir/programs.log.
	Log io.Writer
}

// All are all three servers.
func All(bin string) Config { return Config{Bin: bin, Redis: true, NATS: true, Postgres: true} }

// Rig is the servers and the programs that run on them. Its methods are for one
// goroutine.
type Rig struct {
	// JS and NC are the bench's own connection to NATS; DB is the one to
	// PostgreSQL. They are nil without the server.
	JS jetstream.JetStream
	NC *nats.Conn
	DB *pgxpool.Pool
	// Bus is the product's connection, as programs have it.
	Bus *bus.Bus

	config   Config
	ownDir   bool
	logFile  *os.File
	postgres *stack.Postgres
	redis    *stack.Redis
	nats     *natsServers
	programs []*Program
}

// startTimeout bounds the start of each part.
const startTimeout = time.Minute

const stopTimeout = 30 * time.Second

// applicationName tells the bench's own connections from those of programs.
const applicationName = "bench"

// poolSize is enough for 32 workers of a measurement beside its own questions.
const poolSize = 40

// Start starts the servers and returns when they answer. Close ends them.
func Start(ctx context.Context, c Config) (_ *Rig, err error) {
	r := &Rig{config: c}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start the rig: %w", err), r.Close())
		}
	}()
	if err = r.openDir(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*startTimeout)
	defer cancel()
	for _, part := range []struct {
		wanted bool
		start  func(context.Context) error
	}{{c.Postgres, r.startPostgres}, {c.Redis, r.startRedis}, {c.NATS, r.startNATS}} {
		if !part.wanted {
			continue
		}
		if err = part.start(ctx); err != nil {
			return nil, err
		}
	}
	// What was written before, by earlier sections too, is not paid for by what is
	// measured now: fresh events right after a drain of five million were committed a
	// second late.
	syscall.Sync()
	return r, nil
}

func (r *Rig) openDir() (err error) {
	if r.config.Dir == "" {
		if r.config.Dir, err = os.MkdirTemp("", "bench"); err != nil {
			return err
		}
		r.ownDir = true
		// PostgreSQL's own user must be able to enter.
		if err = os.Chmod(r.config.Dir, 0o755); err != nil {
			return err
		}
	}
	if r.config.Log == nil {
		r.logFile, err = os.Create(filepath.Join(r.config.Dir, "programs.log"))
		r.config.Log = r.logFile
	}
	return err
}

func (r *Rig) startPostgres(ctx context.Context) (err error) {
	r.postgres, err = stack.StartPostgres(ctx, stack.PostgresConfig{
		Dir: filepath.Join(r.config.Dir, "postgres"),
		Settings: map[string]string{
			"fsync": "on", "synchronous_commit": "on",
			"track_commit_timestamp": "on", // what says when an event was committed
		},
	})
	if err != nil {
		return err
	}
	if _, err = migrate.Up(ctx, r.postgres.URL()); err != nil {
		return err
	}
	cfg, err := pgxpool.ParseConfig(r.postgres.URL())
	if err != nil {
		return err
	}
	cfg.MaxConns = poolSize
	cfg.ConnConfig.RuntimeParams["application_name"] = applicationName
	r.DB, err = pgxpool.NewWithConfig(ctx, cfg)
	return err
}

func (r *Rig) startRedis(ctx context.Context) (err error) {
	r.redis, err = stack.StartRedis(ctx, stack.RedisConfig{
		Dir: filepath.Join(r.config.Dir, "redis"),
		// As docs/operations.md recommends. By default the log is rewritten every ten to
		// twenty seconds of a benchmark, in windows of whichever contender has its turn.
		Args: []string{"--auto-aof-rewrite-min-size", "4gb"},
	})
	return err
}

func (r *Rig) startNATS(ctx context.Context) (err error) {
	if r.nats, err = startNATS(ctx, r.natsServers(), r.config.Bin, filepath.Join(r.config.Dir, "nats"), r.config.Log); err != nil {
		return err
	}
	if r.NC, err = nats.Connect(r.nats.url, nats.Name("bench")); err != nil {
		return err
	}
	if r.JS, err = jetstream.New(r.NC); err != nil {
		return err
	}
	if r.Bus, err = bus.Connect(r.nats.url, "bench", slog.New(slog.NewTextHandler(r.config.Log, nil))); err != nil {
		return err
	}
	return r.ensure(ctx)
}

// natsServers is how many there are, and replicas of each stream.
func (r *Rig) natsServers() int { return max(1, r.config.NATSServers) }

// ensure makes the streams and consumers of the product.
func (r *Rig) ensure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		err := r.Bus.Ensure(ctx, bus.Topology{Replicas: r.natsServers()})
		if err == nil || Rest(ctx, pollEvery) != nil {
			return err
		}
	}
}

// NATSURL is the address of NATS, "" where there is none.
func (r *Rig) NATSURL() string {
	if r.nats == nil {
		return ""
	}
	return r.nats.url
}

// RedisURL is the address of Redis, "" where there is none.
func (r *Rig) RedisURL() string {
	if r.redis == nil {
		return ""
	}
	return r.redis.URL()
}

// PostgresURL is the address of PostgreSQL, "" where there is none.
func (r *Rig) PostgresURL() string {
	if r.postgres == nil {
		return ""
	}
	return r.postgres.URL()
}

// URLs are the addresses of the servers as the programs' environment.
func (r *Rig) URLs() (env []string) {
	for _, v := range []struct{ name, url string }{
		{"NATS_URL", r.NATSURL()}, {"REDIS_URL", r.RedisURL()}, {"DATABASE_URL", r.PostgresURL()},
	} {
		if v.url != "" {
			env = append(env, v.name+"="+v.url)
		}
	}
	return append(env, "NATS_REPLICAS="+strconv.Itoa(r.natsServers()))
}

// Pids are the processes by name: nats, redis, postgres, and the programs that
// run, of which several may have one name. They are groups for package usage;
// that of postgres stands for its children too.
func (r *Rig) Pids() map[string][]int {
	pids := map[string][]int{}
	if r.nats != nil {
		pids["nats"] = r.nats.pids()
	}
	if r.redis != nil {
		pids["redis"] = []int{r.redis.Pid()}
	}
	if r.postgres != nil {
		pids["postgres"] = []int{r.postgres.Pid()}
	}
	for _, p := range r.programs {
		pids[p.Name] = append(pids[p.Name], p.Pid())
	}
	return pids
}

// StopPostgres ends PostgreSQL; StartPostgres starts it again with its data, on
// the same port.
func (r *Rig) StopPostgres(ctx context.Context) error { return r.postgres.Stop(ctx) }

// StartPostgres starts a stopped PostgreSQL again.
func (r *Rig) StartPostgres(ctx context.Context) error {
	server, err := stack.StartPostgres(ctx, r.postgres.Config())
	if err == nil {
		r.postgres = server
	}
	return err
}

// Close ends everything, programs first.
func (r *Rig) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for _, p := range slices.Clone(r.programs) {
		errs = append(errs, p.Stop(ctx))
	}
	if r.Bus != nil {
		r.Bus.Close(ctx)
	}
	if r.NC != nil {
		r.NC.Close()
	}
	if r.DB != nil {
		r.DB.Close()
	}
	if r.redis != nil {
		errs = append(errs, r.redis.Stop(ctx))
	}
	if r.nats != nil {
		errs = append(errs, r.nats.stop(ctx))
	}
	if r.postgres != nil {
		errs = append(errs, r.postgres.Stop(ctx))
	}
	if r.logFile != nil {
		errs = append(errs, r.logFile.Close())
	}
	if r.ownDir {
		errs = append(errs, os.RemoveAll(r.config.Dir))
	}
	return errors.Join(errs...)
}

const pollEvery = 5 * time.Millisecond

// Rest waits so long, or until ctx ends, which is then its error.
func Rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
