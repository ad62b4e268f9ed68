package fresh

import (
	"context"
	"errors"
	"time"

	"github.com/savepoint-games/savepoint/bench/live"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/usage"
	"github.com/savepoint-games/savepoint/bench/workload"
)

const (
	// idleLimit is how much of one core each process may take while nothing
	// happens, in CPU seconds a second.
	idleLimit = 0.02
	// quietDown is how long servers go on with what they began, after the last event.
	quietDown = time.Second
	// lowestLimit is what the lowest load may take from publish to seen, in ms.
	// Any period at which somebody looks for events would be in it.
	lowestLimit = 5
)

// quiet measures a saver that has nothing to do, and then next to nothing; and
// baseline (i) with as little, since an idle machine may be slow to wake up.
func (m *meter) quiet(ctx context.Context) (rows []report.Row, err error) {
	saver, err := m.rig.StartSaver(ctx, rig.Options{})
	if err != nil {
		return nil, err
	}
	own, err := m.lowest(ctx)
	if err != nil {
		return nil, err
	}
	idle, err := m.idle(ctx)
	if err != nil {
		return nil, err
	}
	if err := saver.Stop(ctx); err != nil {
		return nil, err
	}
	var one []time.Duration
	err = m.besideOne(ctx, func() (err error) {
		one, err = m.lowest(ctx)
		return err
	})
	return append(lowestRows(own, one), idle...), err
}

// lowest publishes events one by one, each long after the one before is saved, and
// returns after what time a probe saw them, ascending.
func (m *meter) lowest(ctx context.Context) ([]time.Duration, error) {
	m.sayf("fresh: %d events, one each %s", m.Sizes.Lowest, m.Sizes.LowestEvery)
	first, err := m.chars(ctx, m.Sizes.Lowest+1)
	if err != nil {
		return nil, err
	}
	// The first one prepares the statements.
	ctx, cancel := context.WithTimeout(ctx, time.Duration(m.Sizes.Lowest+1)*m.Sizes.LowestEvery+m.Sizes.LowestEvery/2)
	defer cancel()
	took, err := live.Probe{
		NATS: m.rig.NATSURL(), Postgres: m.rig.PostgresURL(), Every: m.Sizes.LowestEvery,
		Events: live.Strangers(workload.KindVitals, first, m.Seed),
	}.Run(ctx)
	if err != nil {
		return nil, err
	}
	return took[:max(len(took)-1, 0)], nil // the slowest: most likely the first
}

func lowestRows(own, one []time.Duration) (rows []report.Row) {
	for _, f := range []struct {
		percent float64
		unit    string
	}{{50, "ms p50"}, {100, "ms max"}} {
		theirs := ms(live.Percentile(one, f.percent))
		row := report.Row{Section: "fresh vitals, lowest load", Case: "savepoint, publish to seen by a probe"}.
			With(ms(live.Percentile(own, f.percent)), f.unit).Against(theirs, "(i)")
		if f.percent == 50 {
			row = row.Below(lowestLimit)
		}
		rows = append(rows, row, report.Row{
			Section: row.Section, Case: "(i) 32 workers, publish to seen by a probe", Value: theirs, Unit: f.unit,
		})
	}
	return rows
}

// idle measures what each process takes while no event comes.
func (m *meter) idle(ctx context.Context) (rows []report.Row, err error) {
	m.sayf("fresh: no events for %s", m.Sizes.Idle)
	if err := rig.Rest(ctx, quietDown); err != nil {
		return nil, err
	}
	before, err := usage.Sample(m.rig.Pids())
	if errors.Is(err, usage.ErrUnsupported) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := rig.Rest(ctx, m.Sizes.Idle); err != nil {
		return nil, err
	}
	after, err := usage.Sample(m.rig.Pids())
	if err != nil {
		return nil, err
	}
	seconds := time.Since(began).Seconds()
	took := after.Since(before)
	for _, name := range []string{"saver", "nats", "redis", "postgres"} {
		rows = append(rows, report.Row{
			Section: "idle", Case: name, Value: took[name].Seconds() / seconds, Unit: "CPU s/s",
		}.Below(idleLimit))
	}
	return rows, nil
}
