// Package drain measures how fast savers drain a backlog, what that takes, and
// how it compares with the baselines in the same run. After each drain every row
// is compared with what the events lead to: a wrong one fails the run.
package drain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/bench/baseline"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// Config says what to measure.
type Config struct {
	Bin   string // directory of the built programs
	Seed  uint64
	Quick bool
	// Baseline runs the baselines, where their CPU time can be told.
	Baseline baseline.Runner
	// Progress is told what is going on; it may be nil.
	Progress func(line string)
	// NATSServers is how many NATS servers there are; defaults to 1.
	NATSServers int
	// Sizes defaults to those of Quick, or of a whole run.
	Sizes Sizes
}

// Sizes are what is drained: numbers of events, of each kind.
type Sizes struct {
	Kinds          []workload.Kind
	Vitals, Others int     // of the backlog
	Characters     int     // that they are about
	Zipf           float64 // their skew; 0 is none
	Disorder       workload.Disorder
	One            int    // for baseline (i), which is slow; half of it for others than vitals
	Memory         [2]int // backlogs between which the memory should not grow
	Repeat         int    // how often the drain is measured; the median counts
}

func sizes(quick bool) Sizes {
	if quick {
		return Sizes{
			Kinds:  []workload.Kind{workload.KindVitals, workload.KindInventory, workload.KindCombat},
			Vitals: 40_000, Others: 10_000, Characters: 10_000, One: 3_000, Memory: [2]int{10_000, 60_000}, Repeat: 1,
		}
	}
	return Sizes{
		Kinds:  workload.Kinds(),
		Vitals: 200_000, Others: 100_000, Characters: 10_000, One: 20_000, Memory: [2]int{10_000, 5_000_000}, Repeat: 3,
	}
}

func (s Sizes) events(kind workload.Kind) int {
	if kind == workload.KindVitals {
		return s.Vitals
	}
	return s.Others
}

func (s Sizes) one(kind workload.Kind) int {
	if kind == workload.KindVitals {
		return min(s.One, s.Vitals)
	}
	return min(s.One/2, s.Others)
}

// drainTimeout bounds one drain; that of five million events is the longest.
const drainTimeout = 10 * time.Minute

// Run measures everything on servers of its own.
func Run(ctx context.Context, c Config) (_ []report.Row, err error) {
	if c.Sizes.Characters == 0 {
		c.Sizes = sizes(c.Quick)
	}
	if c.Baseline == nil {
		c.Baseline = baseline.Run
	}
	servers, err := rig.Start(ctx, rig.All(c.Bin))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	m := &meter{Config: c, rig: servers, even: map[workload.Kind]float64{}}
	var rows []report.Row
	for _, kind := range c.Sizes.Kinds {
		more, err := m.kind(ctx, kind)
		if err != nil {
			return rows, fmt.Errorf("drain %s: %w", kind, err)
		}
		rows = append(rows, more...)
	}
	more, err := m.skewed(ctx)
	if err != nil {
		return rows, fmt.Errorf("drain, skewed: %w", err)
	}
	rows = append(rows, more...)
	more, err = m.memory(ctx)
	if err != nil {
		return rows, fmt.Errorf("drain, memory: %w", err)
	}
	return append(rows, more...), nil
}

// meter measures on one set of servers.
type meter struct {
	Config
	rig  *rig.Rig
	even map[workload.Kind]float64 // the rate of one saver, where no character stands out
}

func (m *meter) sayf(format string, values ...any) {
	if m.Progress != nil {
		m.Progress(fmt.Sprintf(format, values...))
	}
}

func (m *meter) workload(kind workload.Kind, count int) workload.Config {
	return workload.Config{
		Kind: kind, Events: count, Characters: m.Sizes.Characters, Seed: m.Seed,
		Zipf: m.Sizes.Zipf, Disorder: m.Sizes.Disorder,
	}
}

// kind measures one kind of events: the product with one and with two savers,
// and with one that does without something, then the baselines on the same events.
func (m *meter) kind(ctx context.Context, kind workload.Kind) ([]report.Row, error) {
	events := m.workload(kind, m.Sizes.events(kind))
	want := workload.FinalOf(workload.Generate(events))
	two, err := m.median(ctx, events, want, twoSavers)
	if err != nil {
		return nil, err
	}
	one, err := m.median(ctx, events, want, oneSaver)
	if err != nil {
		return nil, err
	}
	m.even[kind] = one.rate()
	others := make(map[string]measured)
	for _, crew := range without {
		if others[crew.name], err = m.median(ctx, events, want, crew); err != nil {
			return nil, err
		}
	}
	limits, err := m.baselines(ctx, events)
	if err != nil {
		return nil, err
	}
	return rows(kind, one, two, others, limits), nil
}
