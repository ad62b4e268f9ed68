package drain

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// A Contender is a crew of savers that is compared with others.
type Contender struct {
	Name   string
	Savers int // of them at once
	rig.Options
}

// Turns lets contenders drain the same backlog in turn, so that the unrest of a
// machine meets all of them, and returns the median of each. Sizes says of what,
// and Repeat how often. The ratios are to the first contender.
func Turns(ctx context.Context, c Config, contenders []Contender) (rows []report.Row, err error) {
	on := rig.All(c.Bin)
	on.NATSServers = c.NATSServers
	servers, err := rig.Start(ctx, on)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	m := &meter{Config: c, rig: servers}
	for _, kind := range c.Sizes.Kinds {
		events := m.workload(kind, m.Sizes.events(kind))
		want := workload.FinalOf(workload.Generate(events))
		all := make([][]measured, len(contenders))
		for range c.Sizes.Repeat {
			for i, by := range contenders {
				one, err := m.drain(ctx, events, want, crew{savers: by.Savers, path: by.Path, env: by.Env})
				if err != nil {
					return rows, fmt.Errorf("drain %s, %s: %w", kind, by.Name, err)
				}
				all[i] = append(all[i], one)
				m.sayf("%s, %s: %.0f/s, %.1f CPU s a million", kind, by.Name, one.rate(), one.perMillion(one.cpu.Total()))
			}
		}
		rows = append(rows, turnsRows(kind, contenders, all)...)
	}
	return rows, nil
}

func turnsRows(kind workload.Kind, contenders []Contender, all [][]measured) (rows []report.Row) {
	add := func(i int, unit string, figure func(measured) float64) {
		median := func(i int) float64 {
			var figures []float64
			for _, one := range all[i] {
				figures = append(figures, figure(one))
			}
			slices.Sort(figures)
			return figures[len(figures)/2]
		}
		row := report.Row{Section: "drain " + string(kind), Case: contenders[i].Name, Value: median(i), Unit: unit}
		rows = append(rows, row.Against(median(0), "the first"))
	}
	for i := range contenders {
		add(i, "events/s", measured.rate)
		for _, name := range []string{"saver", "nats", "postgres"} {
			add(i, name+" CPU s/million", func(m measured) float64 { return m.perMillion(m.cpu[name]) })
		}
		add(i, "all CPU s/million", func(m measured) float64 { return m.perMillion(m.cpu.Total()) })
		add(i, "commits/1000", func(m measured) float64 { return 1000 * m.perEvent(m.pg.Commits) })
		add(i, "saves of an event", func(m measured) float64 { return m.perEvent(int64(m.saved)) })
	}
	return rows
}
