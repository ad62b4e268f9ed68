// Package fresh measures how soon an event is saved while nothing is behind:
// publish to commit at a rate that players make, at the lowest load, and through
// a burst; and what the product takes while nothing happens.
package fresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/bench/live"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// Config says what to measure.
type Config struct {
	Bin   string // directory of the built programs
	Seed  uint64
	Quick bool
	// Progress is told what is going on; it may be nil.
	Progress func(line string)
	// Sizes defaults to those of Quick, or of a whole run.
	Sizes Sizes
}

// Sizes say how much is measured.
type Sizes struct {
	Rate   float64       // events a second
	Steady time.Duration // at that rate, for each kind
	One    time.Duration // the same for baseline (i)
	Kinds  []workload.Kind
	Idle   time.Duration // without any event
	// Lowest is how many events are published one by one, LowestEvery apart.
	Lowest      int
	LowestEvery time.Duration
	// Before, Burst and After are the times at the rate, at the rate and
	// BurstRate on top of it, and at the rate again.
	Before, Burst, After time.Duration
	BurstRate            float64
}

func sizes(quick bool) Sizes {
	s := Sizes{
		Rate: 2000, Steady: 10 * time.Second, One: 10 * time.Second, Kinds: []workload.Kind{workload.KindVitals, workload.KindMix},
		Idle: 5 * time.Second, Lowest: 10, LowestEvery: time.Second,
		Before: 3 * time.Second, Burst: 2 * time.Second, After: 8 * time.Second, BurstRate: 40_000,
	}
	if quick {
		s.Steady, s.One = 2*time.Second, time.Second
		s.Idle, s.Lowest, s.LowestEvery = 2*time.Second, 5, 300*time.Millisecond
		s.Before, s.Burst, s.After = time.Second, time.Second, 1500*time.Millisecond
	}
	return s
}

// Run measures everything on servers of its own, with one saver.
func Run(ctx context.Context, c Config) (rows []report.Row, err error) {
	if c.Sizes.Rate == 0 {
		c.Sizes = sizes(c.Quick)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	servers, err := rig.Start(ctx, rig.All(c.Bin))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	m := &meter{Config: c, rig: servers, nextChar: 1}
	for _, step := range []func(context.Context) ([]report.Row, error){m.steady, m.quiet, m.burst} {
		more, err := step(ctx)
		rows = append(rows, more...)
		if err != nil {
			return rows, fmt.Errorf("fresh events: %w", err)
		}
	}
	return rows, nil
}

// meter measures on one set of servers.
type meter struct {
	Config
	rig      *rig.Rig
	nextChar int64 // the lowest that no load has had
}

func (m *meter) sayf(format string, values ...any) { m.Progress(fmt.Sprintf(format, values...)) }

// chars takes count characters that no load has had, and gives each a row.
func (m *meter) chars(ctx context.Context, count int) (first int64, err error) {
	first = m.nextChar
	m.nextChar += int64(count)
	return first, live.Populate(ctx, m.rig.DB, first, int64(count))
}
