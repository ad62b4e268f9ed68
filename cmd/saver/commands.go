package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/program"
)

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
