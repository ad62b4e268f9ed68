package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/verify"
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

type statusCmd struct {
	JSON bool `name:"json" help:"As JSON."`
}

// scopeStatus is one line of the status.
type scopeStatus struct {
	Scope         events.Scope  `json:"scope"`
	Pending       uint64        `json:"pending"`
	InFlight      int           `json:"in_flight"`
	OldestUnsaved time.Duration `json:"oldest_unsaved_ns"`
	Dead          uint64        `json:"dead"`
}

// Run shows how far the savers are.
func (s statusCmd) Run(ctx context.Context, c *cli, out *output) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	return connected(ctx, c, out, func(ctx context.Context, conns *connections) error {
		var lines []scopeStatus
		for _, scope := range events.Scopes() {
			line, err := conns.status(ctx, scope)
			if err != nil {
				return err
			}
			lines = append(lines, line)
		}
		dirty, err := conns.hot.CountDirty(ctx)
		if err != nil {
			return err
		}
		if s.JSON {
			return json.NewEncoder(out.Out).Encode(map[string]any{"scopes": lines, "dirty_characters": dirty})
		}
		return printStatus(out.Out, lines, dirty)
	})
}

func (c *connections) status(ctx context.Context, scope events.Scope) (scopeStatus, error) {
	backlog, err := c.bus.Backlog(ctx, scope)
	if err != nil {
		return scopeStatus{}, err
	}
	dead, err := c.bus.DeadLetters(ctx, scope)
	line := scopeStatus{Scope: scope, Pending: backlog.Pending, InFlight: backlog.InFlight, Dead: dead}
	if backlog.Unsaved() > 0 {
		line.OldestUnsaved = time.Since(backlog.SavedUpTo)
	}
	return line, err
}

func printStatus(w io.Writer, lines []scopeStatus, dirty int64) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "scope\tpending\tin flight\toldest unsaved\tdead letters")
	for _, l := range lines {
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%d\n", l.Scope, l.Pending, l.InFlight, l.OldestUnsaved.Round(time.Millisecond), l.Dead)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d characters are dirty\n", dirty)
	return err
}

type verifyCmd struct {
	Wait  time.Duration `name:"wait" default:"45s" help:"How long rows may take to become equal while savers work."`
	Limit int           `name:"limit" default:"20" help:"How many differences to print."`
}

// errDiffer makes the command exit with 1; the report is printed already.
var errDiffer = errors.New("hot and cold differ")

// Run compares hot and cold.
func (v verifyCmd) Run(ctx context.Context, c *cli, out *output) error {
	conns, err := open(ctx, c, "savepoint-verify", c.Logger(out.Err))
	if err != nil {
		return err
	}
	defer conns.close(ctx)
	progress := program.NewProgress(out.Err)
	verifier := verify.Verifier{Hot: conns.hot, Cold: conns.cold, Progress: func(done, of int) {
		progress.Show(fmt.Sprintf("compared %d of %d characters", done, of))
	}}
	report, err := verifier.Run(ctx, v.Wait)
	progress.Done()
	if err != nil {
		return err
	}
	for i, d := range report.Differences {
		if i == v.Limit {
			fmt.Fprintf(out.Out, "… and %d more\n", len(report.Differences)-i)
			break
		}
		fmt.Fprintln(out.Out, d)
	}
	fmt.Fprintln(out.Out, report)
	if !report.Equal() {
		return errDiffer
	}
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
