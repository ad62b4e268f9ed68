package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/hot"
)

type statusCmd struct {
	JSON bool `name:"json" help:"As JSON."`
}

const (
	// statusTimeout bounds the questions to one server. They are asked at once,
	// so that one that does not answer holds up no other.
	statusTimeout = 5 * time.Second
	// statusRows is of how many dirty characters the rows are counted.
	statusRows = 10_000
)

// status is what the servers say. What one that does not answer would have said
// is missing.
type status struct {
	Scopes    []scopeStatus     `json:"scopes,omitempty"`
	Dirty     *dirtyStatus      `json:"dirty,omitempty"`
	Unreached map[string]string `json:"does_not_answer,omitempty"` // server to reason
}

// scopeStatus is one line of the status.
type scopeStatus struct {
	Scope         events.Scope  `json:"scope"`
	Pending       uint64        `json:"pending"`
	InFlight      int           `json:"in_flight"`
	OldestUnsaved time.Duration `json:"oldest_unsaved_ns"`
	Dead          uint64        `json:"dead"`
}

// dirtyStatus is what Redis has and PostgreSQL not yet.
type dirtyStatus struct {
	Characters int64                `json:"characters"`
	Looked     int                  `json:"counted_characters"` // of those, that Rows and Oldest are about
	Rows       map[events.Scope]int `json:"rows"`
	Contexts   int                  `json:"contexts"` // that the mirror does not show
	Oldest     time.Duration        `json:"oldest_ns"`
}

// Run shows how far the savers are, and which server does not answer.
func (s statusCmd) Run(ctx context.Context, c *cli, out *output) error {
	conns, err := open(ctx, c, "savepoint-status", c.Logger(out.Err))
	if err != nil {
		return err
	}
	defer conns.close(ctx)
	now := conns.ask(ctx)
	if s.JSON {
		err = printJSON(out.Out, now)
	} else {
		err = now.print(out.Out)
	}
	if len(now.Unreached) > 0 {
		err = errors.Join(err, fmt.Errorf("%d of 3 servers do not answer", len(now.Unreached)))
	}
	return err
}

// ask asks all servers at once.
func (c *connections) ask(ctx context.Context) *status {
	out := &status{Unreached: make(map[string]string)}
	var (
		mu    sync.Mutex // guards out.Unreached
		group sync.WaitGroup
	)
	for server, question := range map[string]func(context.Context) error{
		"nats": func(ctx context.Context) (err error) {
			out.Scopes, err = c.scopes(ctx)
			return err
		},
		"redis": func(ctx context.Context) (err error) {
			out.Dirty, err = c.dirty(ctx)
			return err
		},
		"postgresql": c.cold.Ping,
	} {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, statusTimeout)
			defer cancel()
			if err := question(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				out.Unreached[server] = err.Error()
			}
		})
	}
	group.Wait()
	return out
}

func (c *connections) scopes(ctx context.Context) (lines []scopeStatus, err error) {
	if err := c.await(ctx); err != nil {
		return nil, err
	}
	for _, scope := range events.Scopes() {
		line, err := c.scope(ctx, scope)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
	}
	return lines, nil
}

func (c *connections) scope(ctx context.Context, scope events.Scope) (scopeStatus, error) {
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

func (c *connections) dirty(ctx context.Context) (*dirtyStatus, error) {
	unsaved, err := c.hot.CountUnsaved(ctx, statusRows)
	if err != nil {
		return nil, err
	}
	return newDirtyStatus(unsaved), nil
}

func newDirtyStatus(u *hot.Unsaved) *dirtyStatus {
	out := &dirtyStatus{Characters: u.Characters, Looked: u.Looked, Rows: u.Rows, Contexts: u.Rows[""]}
	delete(out.Rows, "")
	if !u.Oldest.IsZero() {
		out.Oldest = time.Since(u.Oldest)
	}
	return out
}

func (s *status) print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "scope\tpending\tin flight\toldest unsaved\tdead letters\tdirty rows")
	for _, scope := range events.Scopes() {
		fmt.Fprintf(table, "%s\t%s\t%s\n", scope, s.streamCells(scope), s.dirtyCell(scope))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if d := s.Dirty; d != nil {
		fmt.Fprintf(w, "%d characters are dirty%s\n", d.Characters, d.details())
	}
	for _, server := range []string{"nats", "redis", "postgresql"} {
		if reason, ok := s.Unreached[server]; ok {
			fmt.Fprintf(w, "%s does not answer: %s\n", server, reason)
		}
	}
	return nil
}

func (s *status) streamCells(scope events.Scope) string {
	for _, l := range s.Scopes {
		if l.Scope == scope {
			return fmt.Sprintf("%d\t%d\t%s\t%d", l.Pending, l.InFlight, l.OldestUnsaved.Round(time.Millisecond), l.Dead)
		}
	}
	return strings.Join([]string{unknown, unknown, unknown, unknown}, "\t")
}

func (s *status) dirtyCell(scope events.Scope) string {
	if s.Dirty == nil {
		return unknown
	}
	return fmt.Sprint(s.Dirty.Rows[scope])
}

func (d *dirtyStatus) details() string {
	var parts []string
	if d.Oldest > 0 {
		parts = append(parts, "the oldest change is "+d.Oldest.Round(time.Millisecond).String()+" old")
	}
	if d.Contexts > 0 {
		parts = append(parts, fmt.Sprintf("the mirror is behind for %d", d.Contexts))
	}
	if int64(d.Looked) < d.Characters {
		parts = append(parts, fmt.Sprintf("rows and age are of %d of them", d.Looked))
	}
	if len(parts) == 0 {
		return ""
	}
	return "; " + strings.Join(parts, ", ")
}
