package drain

import (
	"context"

	"github.com/savepoint-games/savepoint/bench/baseline"
	"github.com/savepoint-games/savepoint/bench/usage"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// limits are the baselines of one kind of events, each with its settings.
type limits struct {
	one    []contestant // a statement a row
	atOnce []contestant // one round trip for the rows of an event; none where it has one row
	memory []contestant
	stream []contestant
	loop   []contestant
}

type contestant struct {
	setting string
	result  baseline.Result
}

func best(of []contestant) (best contestant) {
	for _, c := range of {
		if best.setting == "" || c.result.Rate() > best.result.Rate() {
			best = c
		}
	}
	return best
}

// together is what (ii) and (iii) allow on the same cores, each at its best.
func (l limits) together() float64 {
	return 1 / (1/best(l.memory).result.Rate() + 1/best(l.stream).result.Rate())
}

// baselines runs them on the events that are in the stream.
func (m *meter) baselines(ctx context.Context, events workload.Config) (l limits, err error) {
	one := events
	one.Events = m.Sizes.one(events.Kind)
	if err := m.contest(ctx, &l.one, baseline.Config{What: baseline.One, Workload: one}); err != nil {
		return l, err
	}
	if events.Kind != workload.KindVitals && events.Kind != workload.KindScenario {
		if err := m.contest(ctx, &l.atOnce, baseline.Config{What: baseline.One, Workload: one, AtOnce: true}); err != nil {
			return l, err
		}
	}
	for _, c := range memorySettings(m.Quick) {
		c.What, c.Workload = baseline.Memory, events
		if err := m.contest(ctx, &l.memory, c); err != nil {
			return l, err
		}
	}
	for _, batch := range []int{2500, 10_000} {
		for _, all := range []bool{false, true} {
			c := baseline.Config{What: baseline.Stream, Workload: events, Batch: batch, AckAll: all}
			if err := m.contest(ctx, &l.stream, c); err != nil {
				return l, err
			}
		}
	}
	for _, batch := range loopBatches(m.Quick) {
		if err := m.contest(ctx, &l.loop, baseline.Config{What: baseline.Loop, Workload: events, Batch: batch}); err != nil {
			return l, err
		}
	}
	return l, nil
}

func loopBatches(quick bool) []int {
	if quick {
		return []int{5000}
	}
	return []int{2500, 5000, 10_000}
}

func memorySettings(quick bool) []baseline.Config {
	if quick {
		return []baseline.Config{{Batch: 5000, Conns: 1}, {Batch: 5000, Conns: 2}, {Batch: 20_000, Conns: 2}}
	}
	var out []baseline.Config
	for _, conns := range []int{1, 2} {
		for _, batch := range []int{2500, 5000, 20_000} {
			out = append(out, baseline.Config{Batch: batch, Conns: conns})
		}
	}
	return out
}

// contest runs one baseline on empty tables.
func (m *meter) contest(ctx context.Context, into *[]contestant, c baseline.Config) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if c.What != baseline.Stream {
		if err := m.rig.Truncate(ctx); err != nil {
			return err
		}
	}
	c.NATS, c.Postgres, c.Servers = m.rig.NATSURL(), m.rig.PostgresURL(), usage.Groups(m.rig.Pids())
	result, err := m.Baseline(ctx, c)
	if err != nil {
		return err
	}
	m.sayf("baseline %s %s, %s: %.0f events/s", c.What, c.Workload.Kind, c.Setting(), result.Rate())
	*into = append(*into, contestant{c.Setting(), result})
	return nil
}
