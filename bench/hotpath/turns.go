package hotpath

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/savepoint-games/savepoint/bench/load"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/usage"
)

// A Contender is a gateway that is compared with others.
type Contender struct {
	Name string
	Bare bool // the bare handler (iv)
	rig.Options
}

// Turn says what contenders are asked for.
type Turn struct {
	Rates []float64 // actions a second; 0 is a closed loop
	Saver bool      // one runs all the time
	Zipf  float64   // skew of the characters; 0 is none
}

// Turns asks contenders in short windows in turn, so that the unrest of a machine
// meets all of them. Each has characters of its own. Sizes says for which
// stories, how many characters, how long and how often. The ratios are to the
// first contender.
func Turns(ctx context.Context, c Config, t Turn, contenders []Contender) (rows []report.Row, err error) {
	m := &meter{Config: c, seed: c.Seed, highest: map[string]float64{}}
	defer func() { err = errors.Join(err, m.close()) }()
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	sides, err := m.contenders(ctx, contenders)
	if err != nil {
		return nil, err
	}
	if t.Saver {
		// It ends with the rig.
		if _, err := m.rig.StartSaver(ctx, rig.Options{}); err != nil {
			return nil, err
		}
	}
	for _, story := range c.Sizes.Stories {
		for _, rate := range t.Rates {
			all := make([]side, len(sides))
			for i, s := range sides {
				all[i] = side{addr: s.addr, first: s.first, zipf: t.Zipf, story: story, cpu: usage.Times{}}
				if contenders[i].Bare {
					all[i].story = bareStory
				}
			}
			for range c.Sizes.Turns {
				for i := range all {
					if err := m.turn(ctx, &all[i], rate, c.Sizes.Open); err != nil {
						return rows, err
					}
				}
			}
			more := turnsRows(fmt.Sprintf("%s, %.0f/s", story, rate), contenders, all)
			for _, row := range more {
				m.sayf("%s, %s: %.4g %s", row.Section, row.Case, row.Value, row.Unit)
			}
			rows = append(rows, more...)
		}
		for i, s := range sides {
			if contenders[i].Bare {
				continue
			}
			if err := m.finishAt(ctx, story, s.addr, s.first); err != nil {
				return rows, err
			}
		}
		if !t.Saver {
			if err := m.settle(ctx); err != nil {
				return rows, err
			}
		}
	}
	return rows, nil
}

// contenders starts those that do not run yet, and makes the characters of each.
func (m *meter) contenders(ctx context.Context, all []Contender) (sides []side, err error) {
	for i, c := range all {
		s := side{addr: m.bareAddr, first: int64(1_000_000 * (i + 1))}
		if !c.Bare {
			gateway, err := m.rig.StartGateway(ctx, c.Options)
			if err != nil {
				return nil, err
			}
			s.addr = gateway.Addr
			_, err = m.window(ctx, load.Window{
				Addr: s.addr, FirstChar: s.first, Story: load.StoryMake, Conns: closedConns, For: startTimeout, Each: 2,
			})
			if err != nil {
				return nil, err
			}
		}
		sides = append(sides, s)
	}
	return sides, m.settle(ctx)
}

func turnsRows(section string, contenders []Contender, all []side) (rows []report.Row) {
	first := all[0].result
	for i := range all {
		r := all[i].result
		add := func(value float64, unit string, first float64) {
			rows = append(rows, report.Row{Section: section, Case: contenders[i].Name, Value: value, Unit: unit}.Against(first, "the first"))
		}
		add(r.PerSecond(), "actions/s", first.PerSecond())
		for _, percent := range []float64{50, 99} {
			add(milliseconds(load.Percentile(r.All(), percent)), fmt.Sprintf("ms p%g", percent), milliseconds(load.Percentile(first.All(), percent)))
		}
		cpu := func(s side) float64 {
			own := s.cpu.Total() - s.cpu["generator"]
			return float64(own.Microseconds()) / float64(s.result.Answers())
		}
		add(cpu(all[i]), "µs of CPU an action", cpu(all[0]))
		for _, name := range slices.Sorted(maps.Keys(all[i].cpu)) {
			if name == "generator" {
				continue
			}
			of := func(s side) float64 { return float64(s.cpu[name].Microseconds()) / float64(s.result.Answers()) }
			add(of(all[i]), "µs of "+name, of(all[0]))
		}
	}
	return rows
}

// Window is how long a contender is asked before the next one is.
const Window = 800 * time.Millisecond
