package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/savers"
)

type replayCmd struct {
	Scope []stateScope `help:"Only these scopes."`
	Char  character    `help:"Only this character."`
	From  uint64       `name:"from-sequence" help:"Begin at this sequence of the stream."`
	Since time.Time    `help:"Begin with what was stored at this time (RFC 3339)."`
	Until time.Time    `help:"End with what was stored before this time (RFC 3339)."`
	Name  string       `help:"A replay that was stopped goes on under its name; one without a name begins anew."`
	Fresh bool         `help:"Begin anew where a replay of this name was stopped."`
	Batch int          `default:"10000" help:"How many events one transaction saves at most."`
}

// Run saves stored events once more, beside the live ones: versions make that
// safe. It ends when it has reached the event that was the newest when it began, with an
// error where it was stopped before, or where PostgreSQL has refused some.
func (r replayCmd) Run(ctx context.Context, c *cli, out *output) error {
	if len(r.Scope) == 0 {
		for _, scope := range events.Scopes() {
			r.Scope = append(r.Scope, stateScope(scope))
		}
	}
	return connected(ctx, c, out, func(ctx context.Context, conns *connections) error { return r.replay(ctx, c, conns, out) })
}

func (r replayCmd) replay(ctx context.Context, c *cli, conns *connections, out *output) error {
	target, err := conns.bus.LastSequence(ctx)
	if err != nil {
		return err
	}
	begins, err := conns.bus.Begins(ctx)
	if err != nil {
		return err
	}
	log := c.Logger(out.Err)
	rep := &replay{cmd: r, name: cmp.Or(r.Name, "once-"+rand.Text()), conns: conns, target: target, begins: begins, registry: stateSavers(), log: log, progress: program.NewProgress(out.Err)}
	rep.unsaved.log = log
	err = rep.run(ctx)
	fmt.Fprintln(out.Out, rep.summary(err == nil && ctx.Err() == nil))
	switch n := rep.unsaved.refused.Load(); {
	case err != nil:
	case ctx.Err() != nil:
		err = errStopped
	case n > 0:
		err = fmt.Errorf("%d events: %w", n, errRefused)
	}
	return err
}

// errStopped is returned where a replay was stopped: the database lacks the rest.
var errStopped = errors.New("stopped before the end")

// errRefused is returned where a replay is through, and the database lacks what it has
// refused.
var errRefused = errors.New("not saved; see the log")

// replay is one in progress.
type replay struct {
	cmd      replayCmd
	name     string // under which the stream knows it
	conns    *connections
	target   uint64
	begins   time.Time // what is older is in no replay
	registry *savers.Registry
	log      *slog.Logger
	progress *program.Progress

	mu   sync.Mutex // guards progress
	left sync.Map   // scope to how many are left

	unsaved unsaved
	passed  atomic.Int64 // what it is not about
	began   time.Time
	total   atomic.Int64
}

func (r *replay) spec() intake.Replay {
	return intake.Replay{Name: r.name, From: r.cmd.From, Since: r.cmd.Since, Until: r.cmd.Until, Char: r.cmd.Char.id()}
}

func (r *replay) run(ctx context.Context) error {
	r.began = time.Now()
	defer r.progress.Done()
	// All are looked at before any is opened: what was opened would have these limits.
	for _, scope := range r.cmd.Scope {
		if err := r.conns.intake.CheckReplay(ctx, scope.scope(), r.spec()); err != nil && !r.cmd.Fresh {
			return err
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, scope := range r.cmd.Scope {
		saver, err := r.registry.Saver(scope.scope())
		if err != nil {
			return err
		}
		group.Go(func() error { return r.scope(ctx, scope.scope(), saver) })
	}
	return group.Wait()
}

// scope replays one scope with the universal worker.
func (r *replay) scope(ctx context.Context, scope events.Scope, saver savers.Saver) error {
	if r.cmd.Fresh {
		if err := r.conns.intake.CloseReplay(ctx, scope, r.spec()); err != nil {
			return err
		}
	}
	source, err := r.conns.intake.OpenReplay(ctx, scope, r.spec())
	if err != nil {
		return err
	}
	worker := &savers.Worker{
		Saver: saver, Source: &windowed{source: source, replay: r}, DB: r.conns.pool, Dead: &r.unsaved,
		Marks: r.conns.hot, Log: r.log, BatchSize: r.cmd.Batch, AckWait: 30 * time.Second,
		RefuseNewer: true,
	}
	working, stop := context.WithCancel(ctx)
	defer stop()
	var group errgroup.Group
	group.Go(func() error { return worker.Run(working) })
	group.Go(func() error {
		defer stop()
		return r.watch(working, scope, source)
	})
	err = group.Wait()
	if (err != nil || ctx.Err() != nil) && r.cmd.Name != "" {
		return err // it goes on under its name
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	return errors.Join(err, r.conns.intake.CloseReplay(ctx, scope, r.spec()))
}

// closeTimeout bounds what is done where a replay was stopped.
const closeTimeout = 2 * time.Second
