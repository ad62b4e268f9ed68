package hotpath

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/bench/load"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/usage"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// Beside says what players do while contenders drain a backlog of the mix.
type Beside struct {
	Story   string
	Rate    float64 // actions a second
	Backlog int     // events
	// For is how long the contender is watched from its start on. Progress is told
	// of each besideWindow.
	For time.Duration
}

const (
	besideWindow = 200 * time.Millisecond
	// atFirst is how long a saver may take to find out that players play.
	atFirst = time.Second
)

// BesideDrains measures answers while one contender after the other, a saver, drains
// the same backlog. Those of its first second are told from the later ones.
func BesideDrains(ctx context.Context, c Config, b Beside, savers []Contender) (rows []report.Row, err error) {
	m := &meter{Config: c, seed: c.Seed, highest: map[string]float64{}}
	defer func() { err = errors.Join(err, m.close()) }()
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	for turn := range max(1, c.Sizes.Turns) {
		for _, saver := range savers {
			one, err := m.beside(ctx, b, saver)
			if err != nil {
				return rows, fmt.Errorf("beside %s: %w", saver.Name, err)
			}
			for _, row := range one {
				row.Section = fmt.Sprintf("beside a drain, turn %d", turn+1)
				rows = append(rows, row)
			}
		}
	}
	return rows, nil
}

func (m *meter) beside(ctx context.Context, b Beside, by Contender) ([]report.Row, error) {
	if _, err := m.rig.Fill(ctx, workload.Generate(workload.Config{
		Kind: workload.KindMix, Events: b.Backlog, FirstChar: 1_000_000, Seed: m.Seed,
	}), nil); err != nil {
		return nil, err
	}
	if err := rig.Rest(ctx, m.Sizes.Rest); err != nil {
		return nil, err
	}
	var normal, first, later load.Result
	for range int(atFirst / besideWindow) {
		result, err := m.watch(ctx, b, "before")
		if err != nil {
			return nil, err
		}
		normal.Add(result)
	}
	waiting, err := m.waiting(ctx)
	if err != nil {
		return nil, err
	}
	saver, err := m.rig.StartSaver(ctx, by.Options)
	if err != nil {
		return nil, err
	}
	for began := time.Now(); time.Since(began) < b.For; {
		to := &later
		if time.Since(began) < atFirst {
			to = &first
		}
		result, err := m.watch(ctx, b, by.Name)
		if err != nil {
			return nil, err
		}
		to.Add(result)
	}
	left, err := m.waiting(ctx)
	if err != nil {
		return nil, err
	}
	if err := saver.Stop(ctx); err != nil {
		return nil, err
	}
	var rows []report.Row
	add := func(of string, value float64, unit string) {
		rows = append(rows, report.Row{Case: by.Name + of, Value: value, Unit: unit})
	}
	for _, part := range []struct {
		name   string
		result load.Result
	}{{", before", normal}, {", first second", first}, {", later", later}} {
		for _, percent := range []float64{50, 99} {
			add(part.name, milliseconds(load.Percentile(part.result.All(), percent)), fmt.Sprintf("ms p%g", percent))
		}
	}
	add(", saved beyond what was played", float64(waiting-left), "events")
	return rows, m.settle(ctx)
}

// watch is one short window, and what it took.
func (m *meter) watch(ctx context.Context, b Beside, name string) (load.Result, error) {
	before, err := usage.Sample(m.groups())
	if err != nil {
		return load.Result{}, err
	}
	result, err := m.window(ctx, load.Window{Addr: m.gateway.Addr, Story: b.Story, Rate: b.Rate, Conns: openConns, For: besideWindow})
	if err != nil {
		return result, err
	}
	after, err := usage.Sample(m.groups())
	if err != nil {
		return result, err
	}
	cpu := after.Since(before)
	waiting, err := m.waiting(ctx)
	m.sayf("%s: p50 %.2f ms, p99 %.1f, hot %d, waiting %d; CPU ms saver %d, postgres %d, nats %d, gateway %d, redis %d", name,
		milliseconds(load.Percentile(result.All(), 50)), milliseconds(load.Percentile(result.All(), 99)), result.Hot, waiting,
		cpu["saver"].Milliseconds(), cpu["postgres"].Milliseconds(), cpu["nats"].Milliseconds(), cpu["gateway"].Milliseconds(), cpu["redis"].Milliseconds())
	return result, err
}
