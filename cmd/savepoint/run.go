package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/internal/stack"
)

type runCmd struct {
	DataDir     string        `name:"data-dir" env:"DATA_DIR" default:".data" help:"Where the servers keep their data."`
	NATSConf    string        `name:"nats-conf" env:"NATS_CONF" default:"nats.conf" help:"Configuration of the NATS server; may be missing."`
	NATSAddr    string        `name:"nats-addr" env:"NATS_ADDR" default:"127.0.0.1:4222" help:"Address of the NATS server."`
	GatewayAddr string        `name:"gateway-addr" env:"GATEWAY_ADDR" default:"127.0.0.1:8080" help:"Where players' actions are answered."`
	AdminAddr   string        `name:"admin-addr" env:"ADMIN_ADDR" default:"127.0.0.1:9090" help:"Console, health and metrics of the gateway."`
	SaverAddrs  []string      `name:"saver-admin-addrs" env:"SAVER_ADMIN_ADDRS" default:"127.0.0.1:9091,127.0.0.1:9092" help:"Health and metrics of the savers; one saver an address."`
	Postgres    int           `name:"postgres-port" env:"POSTGRES_PORT" default:"0" help:"Port of PostgreSQL; 0 is a free one."`
	Redis       int           `name:"redis-port" env:"REDIS_PORT" default:"0" help:"Port of Redis; 0 is a free one."`
	Duration    time.Duration `name:"duration" env:"DURATION" default:"0s" help:"End after this time; 0 is until Ctrl-C."`
}

const (
	startTimeout = 2 * time.Minute
	stopTimeout  = 30 * time.Second
)

// Run starts the servers, then the programs, and stops them in reverse.
func (r *runCmd) Run(ctx context.Context, out io.Writer) error {
	if r.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Duration)
		defer cancel()
	}
	if err := findPrograms(); err != nil {
		return err
	}
	servers, err := r.startServers(ctx, out)
	if err != nil {
		return err
	}
	err = r.runPrograms(ctx, out, servers)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = errors.Join(err, servers.Close(stopping))
	if err == nil {
		fmt.Fprintln(out, "stopped; the data is kept in", r.DataDir)
	}
	return err
}

func (r *runCmd) startServers(ctx context.Context, out io.Writer) (*stack.Stack, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	host, port, err := splitAddr(r.NATSAddr)
	if err != nil {
		return nil, fmt.Errorf("nats-addr: %w", err)
	}
	conf := r.NATSConf
	if _, err := os.Stat(conf); err != nil {
		conf = ""
	}
	servers, err := stack.Start(ctx, stack.Config{
		Dir: r.DataDir, NATSConfig: conf, NATSHost: host, NATSPort: port,
		PostgresPort: r.Postgres, RedisPort: r.Redis,
		Progress: func(line string) { fmt.Fprintln(out, line) },
	})
	if err != nil {
		return nil, err
	}
	applied, err := migrate.Up(ctx, servers.Postgres.URL())
	if err != nil {
		return nil, errors.Join(err, servers.Close(context.WithoutCancel(ctx)))
	}
	fmt.Fprintf(out, "schema is up to date (%d migrations applied)\n", applied)
	return servers, nil
}

func splitAddr(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err = strconv.Atoi(text)
	return host, port, err
}

// runPrograms keeps the gateway and the savers running until ctx is done.
func (r *runCmd) runPrograms(ctx context.Context, out io.Writer, servers *stack.Stack) error {
	env := append(os.Environ(),
		"NATS_URL="+servers.NATS.URL(), "REDIS_URL="+servers.Redis.URL(), "DATABASE_URL="+servers.Postgres.URL())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return supervise(ctx, out, "gateway", nil, append(env, "GATEWAY_ADDR="+r.GatewayAddr, "ADMIN_ADDR="+r.AdminAddr))
	})
	for _, addr := range r.SaverAddrs {
		group.Go(func() error {
			return supervise(ctx, out, "saver", []string{"run"}, append(env[:len(env):len(env)], "ADMIN_ADDR="+addr))
		})
	}
	group.Go(func() error {
		if err := r.awaitReady(ctx); err != nil {
			return program.UnlessDone(ctx, err)
		}
		printHelp(out, r, servers)
		return nil
	})
	return program.UnlessDone(ctx, group.Wait())
}

const (
	quickDeath   = 2 * time.Second // a program that lived shorter cannot start
	restartPause = time.Second
)

// programPath is where a program of this build is: beside this one.
func programPath(name string) (string, error) {
	self, err := os.Executable()
	return filepath.Join(filepath.Dir(self), name), err
}

// findPrograms is an error where the other programs are not beside this one, as under
// go run.
func findPrograms() error {
	for _, name := range []string{"gateway", "saver"} {
		path, err := programPath(name)
		if err == nil {
			_, err = os.Stat(path)
		}
		if err != nil {
			return fmt.Errorf("the program %s has to be beside this one: make run builds all, and so does go build -o bin/ ./cmd/... (%w)", name, err)
		}
	}
	return nil
}

// supervise runs a program of this build and starts it again when it dies, so
// that a saver may be killed to see what happens.
func supervise(ctx context.Context, out io.Writer, name string, args, env []string) error {
	path, err := programPath(name)
	if err != nil {
		return err
	}
	for {
		started := time.Now()
		child, err := stack.StartProcess(ctx, stack.ProcessConfig{
			Name: name, Path: path, Args: args, Env: env, Stdout: out, Stderr: out,
		})
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			return child.Stop(stopping)
		case <-child.Done():
		}
		if time.Since(started) < quickDeath && !wasKilled(child.Err()) {
			return fmt.Errorf("%s does not stay up: %w", name, child.Err())
		}
		fmt.Fprintf(out, "%s died (%v); starting another\n", name, child.Err())
		select {
		case <-time.After(restartPause):
		case <-ctx.Done():
			return nil
		}
	}
}

// wasKilled reports whether a program ended by a signal, and so not by itself.
func wasKilled(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == -1
}

// awaitReady waits until the gateway and the savers have all they need.
func (r *runCmd) awaitReady(ctx context.Context) error {
	for _, addr := range append([]string{r.AdminAddr}, r.SaverAddrs...) {
		if err := program.AwaitReady(ctx, addr); err != nil {
			return err
		}
	}
	return nil
}

type resetCmd struct {
	DataDir string `name:"data-dir" env:"DATA_DIR" default:".data" help:"Where the servers keep their data."`
}

// Run removes the data directory, and PostgreSQL's where it lies elsewhere.
func (r *resetCmd) Run(out io.Writer) error {
	postgres, err := stack.PostgresDir(r.DataDir)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(r.DataDir, "env")); err == nil {
		return fmt.Errorf("a system runs in %s: stop it first (or remove %s/env if it was killed)", r.DataDir, r.DataDir)
	}
	fmt.Fprintln(out, "removing", r.DataDir, "and", postgres)
	return errors.Join(os.RemoveAll(r.DataDir), os.RemoveAll(postgres))
}

func printHelp(out io.Writer, r *runCmd, servers *stack.Stack) {
	fmt.Fprintf(out, `
Savepoint is up: one gateway, %[1]d savers.

  gateway     http://%[2]s      health, metrics  http://%[3]s
  console     http://%[3]s/console
  PostgreSQL  psql '%[4]s'
  Redis       redis-cli -p %[5]d
  NATS        %[6]s

Try, in another terminal:

  curl -X PUT %[2]s/v1/characters/42/vitals -d '{"hp":80,"energy":55,"location":{"zone":"harbor","x":1.5,"y":-2}}'
  curl -X POST %[2]s/v1/characters/42/inventory -d '{"changes":[{"item_id":"potion","delta":3}]}'
  curl %[2]s/v1/characters/42

See the row:     psql '%[4]s' -c 'TABLE character_vitals'
See it hot:      redis-cli -p %[5]d hgetall '{ac:42}:vitals'
Watch events:    NATS_URL=%[6]s bin/saver tail        (or: nats -s %[6]s sub 'sync.>')
Play a world:    make demo
Ask the tools:   (set -a; . %[7]s/env; bin/saver status)        (also: verify, doctor, dlq list)

Ctrl-C stops everything.
`, len(r.SaverAddrs), r.GatewayAddr, r.AdminAddr, servers.Postgres.URL(), servers.Redis.Port(), servers.NATS.URL(), r.DataDir)
}
