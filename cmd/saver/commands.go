package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/program"
)

// commandTimeout bounds the commands that only ask.
const commandTimeout = 15 * time.Second

type migrateCmd struct{}

// Run migrates the database.
func (migrateCmd) Run(ctx context.Context, c *cli, out *output) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	applied, err := migrate.Up(ctx, c.DatabaseURL)
	if err != nil {
		return err
	}
	fmt.Fprintf(out.Out, "%d migrations applied, the schema is up to date\n", applied)
	return nil
}

type tailCmd struct {
	Subject string `arg:"" optional:"" default:"sync.>" help:"Which subjects."`
}

// Run prints what is published until ctx is done.
func (t tailCmd) Run(ctx context.Context, c *cli, out *output) error {
	return connected(ctx, c, out, func(ctx context.Context, conns *connections) error {
		sub, err := conns.bus.Conn().Subscribe(t.Subject, func(m *nats.Msg) {
			fmt.Fprintf(out.Out, "%s %s\n", m.Subject, m.Data)
		})
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", t.Subject, err)
		}
		fmt.Fprintf(out.Err, "listening to %s; Ctrl-C ends\n", t.Subject)
		<-ctx.Done()
		return sub.Drain()
	})
}

type healthcheckCmd struct{ admin }

// Run asks the saver that was started with the same flags.
func (h healthcheckCmd) Run(ctx context.Context) error {
	return program.Healthcheck(ctx, h.AdminAddr)
}

// connected runs a command that needs NATS at once.
func connected(ctx context.Context, c *cli, out *output, do func(context.Context, *connections) error) error {
	conns, err := open(ctx, c, "savepoint-tool", c.Logger(out.Err))
	if err != nil {
		return err
	}
	defer conns.close(ctx)
	if err := conns.await(ctx); err != nil {
		return fmt.Errorf("%w (NATS_URL is %s)", err, c.NATSURL)
	}
	return do(ctx, conns)
}

// await returns when NATS answers, or with what it last said.
func (c *connections) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	for {
		err := c.bus.Ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
