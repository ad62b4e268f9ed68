package hotpath

import (
	"context"
	"fmt"
	"slices"

	"github.com/savepoint-games/savepoint/bench/load"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// Where the rest of the system is in trouble, players should not notice. The
// requests come at half of the highest rate; what is normal is measured just
// before and just after, with the same programs running.
const (
	wantedWithoutPostgres = 1.1
	wantedWithBacklog     = 1.2
)

// troubled are the stories that are played in trouble, of those that were measured
// before: all that PostgreSQL takes no part in.
func (m *meter) troubled() []string {
	return slices.DeleteFunc([]string{"vitals", "inventory", "combat", "scenario", "bag", "keyed", "dispatch"},
		func(story string) bool { return m.highest[story] == 0 })
}

// conditions measures the trouble.
func (m *meter) conditions(ctx context.Context) (rows []report.Row, err error) {
	for _, part := range []func(context.Context) ([]report.Row, error){m.withoutPostgres, m.withBacklog} {
		more, err := part(ctx)
		rows = append(rows, more...)
		if err != nil {
			return rows, err
		}
	}
	return rows, nil
}

// results are what windows saw, by story.
type results map[string]*load.Result

// sample adds windows to results; it goes on only while going says so. The sessions of
// each window end with it: the next story is played by the same characters.
func (m *meter) sample(ctx context.Context, to results, turns int, going func() (bool, error)) error {
	for range turns {
		for _, story := range m.troubled() {
			result, err := m.window(ctx, load.Window{
				Addr: m.gateway.Addr, Story: story, Rate: levels[0] * m.highest[story], Conns: openConns, For: m.Sizes.Open,
			})
			if err == nil {
				err = m.finish(ctx, story)
			}
			if err != nil {
				return err
			}
			if ok, err := going(); err != nil || !ok {
				return err
			}
			if to[story] == nil {
				to[story] = &load.Result{}
			}
			to[story].Add(result)
		}
	}
	return nil
}

func always() (bool, error) { return true, nil }

// withoutPostgres: a saver runs all the time, and PostgreSQL is stopped for some
// of it.
func (m *meter) withoutPostgres(ctx context.Context) (rows []report.Row, err error) {
	m.sayf("PostgreSQL stops")
	saver, err := m.rig.StartSaver(ctx, rig.Options{})
	if err != nil {
		return nil, err
	}
	normal, stopped := results{}, results{}
	if err := m.sample(ctx, normal, m.Sizes.Turns, always); err != nil {
		return nil, err
	}
	if err := m.rig.StopPostgres(ctx); err != nil {
		return nil, err
	}
	if err := m.sample(ctx, stopped, m.Sizes.Turns, always); err != nil {
		return nil, err
	}
	if err := m.rig.StartPostgres(ctx); err != nil {
		return nil, err
	}
	if err := m.awaitSettled(ctx); err != nil {
		return nil, err
	}
	if err := m.sample(ctx, normal, m.Sizes.Turns, always); err != nil {
		return nil, err
	}
	return m.troubleRows("hot path, PostgreSQL stopped", normal, stopped, wantedWithoutPostgres), saver.Stop(ctx)
}

// withBacklog: events of other characters wait while no saver runs, and then
// while one drains them.
func (m *meter) withBacklog(ctx context.Context) (rows []report.Row, err error) {
	m.sayf("a backlog of %d events", m.Sizes.Backlog)
	idle, waiting, saving, draining := results{}, results{}, results{}, results{}
	if err := m.sample(ctx, idle, m.Sizes.Turns, always); err != nil {
		return nil, err
	}
	if _, err := m.rig.Fill(ctx, workload.Generate(workload.Config{
		Kind: workload.KindMix, Events: m.Sizes.Backlog, FirstChar: 1_000_000, Seed: m.Seed,
	}), nil); err != nil {
		return nil, err
	}
	if err := rig.Rest(ctx, m.Sizes.Rest); err != nil {
		return nil, err
	}
	if err := m.sample(ctx, waiting, 2*m.Sizes.Turns, always); err != nil {
		return nil, err
	}
	saver, err := m.rig.StartSaver(ctx, rig.Options{})
	if err != nil {
		return nil, err
	}
	err = m.sample(ctx, draining, 4*m.Sizes.Turns, func() (bool, error) {
		left, err := m.waiting(ctx)
		return left > savedAtOnce, err
	})
	if err != nil {
		return nil, err
	}
	if err := m.awaitSettled(ctx); err != nil {
		return nil, err
	}
	if err := m.sample(ctx, saving, m.Sizes.Turns, always); err != nil {
		return nil, err
	}
	if err := saver.Stop(ctx); err != nil {
		return nil, err
	}
	if err := m.settle(ctx); err != nil {
		return nil, err
	}
	if err := m.sample(ctx, idle, m.Sizes.Turns, always); err != nil {
		return nil, err
	}
	rows = m.troubleRows(fmt.Sprintf("hot path, %d events wait, no saver", m.Sizes.Backlog), idle, waiting, wantedWithBacklog)
	return append(rows, m.troubleRows("hot path, a saver drains them", saving, draining, wantedWithBacklog)...), nil
}

// savedAtOnce is less than a backlog: a few batches that are under way anyhow.
const savedAtOnce = 10_000

// troubleRows compares latencies in trouble with normal ones.
func (m *meter) troubleRows(section string, normal, trouble results, want float64) (rows []report.Row) {
	for _, story := range m.troubled() {
		if trouble[story] == nil {
			rows = append(rows, report.Row{Section: section, Case: story + ": over before a window was", Want: "a longer backlog", Missed: true})
			continue
		}
		for _, percent := range []float64{50, 99} {
			own, usual := load.Percentile(trouble[story].All(), percent), load.Percentile(normal[story].All(), percent)
			unit := fmt.Sprintf("ms p%g", percent)
			rows = append(rows, report.Row{Section: section, Case: nameOf(story) + ", normal", Value: milliseconds(usual), Unit: unit})
			row := report.Row{Section: section, Case: nameOf(story), Value: milliseconds(own), Unit: unit}
			if percent == 50 {
				row = row.AtMost(want, milliseconds(usual), "normal")
			} else {
				row = row.Against(milliseconds(usual), "normal")
			}
			rows = append(rows, row)
		}
		if hot := trouble[story].Hot; hot > 0 {
			rows = append(rows, hotRow(section, *trouble[story]))
		}
	}
	return rows
}

// nameOf is what a row calls a story: by its route, where it has one.
func nameOf(story string) string {
	if steps := load.Steps(story); len(steps) == 1 {
		return steps[0]
	}
	return story + ", all steps"
}
