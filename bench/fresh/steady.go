package fresh

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bench/live"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
)

const (
	// probeEvery is 50 probes a second: enough for a percentile, few beside the load.
	probeEvery = 20 * time.Millisecond
	// settleTimeout bounds how long the savers may take for what was published.
	settleTimeout = 2 * time.Minute
	settlePoll    = 50 * time.Millisecond
	// warmUp is how long a saver is loaded before it counts: statements are
	// prepared, tables are in memory.
	warmUp = 500 * time.Millisecond
)

// steady measures the saver with each kind at the rate, and baseline (i) beside it.
func (m *meter) steady(ctx context.Context) (rows []report.Row, err error) {
	for _, kind := range m.Sizes.Kinds {
		section := fmt.Sprintf("fresh %s, %g/s", kind, m.Sizes.Rate)
		saver, err := m.withSaver(ctx, kind)
		if err != nil {
			return rows, err
		}
		one, err := m.withOne(ctx, kind)
		if err != nil {
			return rows, err
		}
		rows = append(rows, compared(section, saver, one)...)
	}
	return rows, nil
}

func (m *meter) withSaver(ctx context.Context, kind workload.Kind) (s sight, err error) {
	m.sayf("fresh: %s at %g events/s for %s", kind, m.Sizes.Rate, m.Sizes.Steady)
	characters, err := m.cast(ctx, m.Sizes.Steady)
	if err != nil {
		return s, err
	}
	saver, err := m.rig.StartSaver(ctx, rig.Options{})
	if err != nil {
		return s, err
	}
	if s, err = m.watch(ctx, kind, m.Sizes.Steady, characters); err != nil {
		return s, err
	}
	return s, saver.Stop(ctx)
}

// withOne measures one transaction an event, with nothing left for it to do but
// what it is measured with.
func (m *meter) withOne(ctx context.Context, kind workload.Kind) (s sight, err error) {
	m.sayf("fresh: (i), %s at %g events/s for %s", kind, m.Sizes.Rate, m.Sizes.One)
	characters, err := m.cast(ctx, m.Sizes.One)
	if err != nil {
		return s, err
	}
	err = m.besideOne(ctx, func() (err error) {
		s, err = m.watch(ctx, kind, m.Sizes.One, characters)
		return err
	})
	return s, err
}

// besideOne does what publishes events while baseline (i) saves them, and nothing else
// of the stream.
func (m *meter) besideOne(ctx context.Context, do func() error) error {
	if err := m.rig.Purge(ctx); err != nil {
		return err
	}
	loop, err := startOne(ctx, m.rig)
	if err != nil {
		return err
	}
	if err := errors.Join(do(), loop.stop()); err != nil {
		return err
	}
	return m.rig.Purge(ctx)
}

// compared are the figures of the saver with what is wanted of them, and those of (i).
func compared(section string, saver, one sight) (rows []report.Row) {
	for _, f := range []struct {
		percent, limit float64 // limit in ms
	}{{50, 2}, {99, 10}} {
		unit := fmt.Sprintf("ms p%g", f.percent)
		ours, theirs := ms(live.Percentile(saver.latencies, f.percent)), ms(live.Percentile(one.latencies, f.percent))
		rows = append(rows,
			report.Row{Section: section, Case: "savepoint, publish to commit", Value: ours, Unit: unit}.Against(theirs, "(i)").Below(f.limit),
			report.Row{Section: section, Case: "(i) 32 workers, publish to commit", Value: theirs, Unit: unit},
			report.Row{Section: section, Case: "savepoint, publish to seen by a probe", Value: ms(live.Percentile(saver.probes, f.percent)), Unit: unit}.
				Against(ms(live.Percentile(one.probes, f.percent)), "(i)").Below(f.limit))
	}
	return rows
}

// sight is what was seen of a load.
type sight struct {
	sent              live.Sent
	commits           []live.Commit
	latencies, probes []time.Duration // ascending; without the warm-up
}

// cast is the characters of a load and of the probes beside it.
type cast struct{ load, probes int64 }

// cast takes characters for so much time at the rate.
func (m *meter) cast(ctx context.Context, d time.Duration) (c cast, err error) {
	if c.load, err = m.chars(ctx, int(m.Sizes.Rate*(d+warmUp).Seconds()*3/2)); err != nil {
		return c, err
	}
	c.probes, err = m.chars(ctx, int((d+warmUp)/probeEvery)*2)
	return c, err
}

// watch publishes at the rate, from now on and for the warm-up and d, and reads
// when it was committed.
func (m *meter) watch(ctx context.Context, kind workload.Kind, d time.Duration, of cast) (s sight, err error) {
	d += warmUp
	group, loading := errgroup.WithContext(ctx)
	loading, loaded := context.WithCancel(loading)
	group.Go(func() (err error) {
		defer loaded()
		s.sent, err = live.Publish(loading, live.Load{
			NATS: m.rig.NATSURL(), Events: live.Strangers(kind, of.load, m.Seed), Rate: m.Sizes.Rate, For: d, Seed: m.Seed,
		})
		return err
	})
	group.Go(func() (err error) {
		s.probes, err = live.Probe{
			NATS: m.rig.NATSURL(), Postgres: m.rig.PostgresURL(), Every: probeEvery,
			Events: live.Strangers(workload.KindVitals, of.probes, m.Seed),
		}.Run(loading)
		return err
	})
	if err := group.Wait(); err != nil {
		return s, err
	}
	if s.commits, err = m.commits(ctx, of.load, s.sent); err != nil {
		return s, err
	}
	s.latencies = live.Latencies(live.Between(s.commits, s.sent.From.Add(warmUp), s.sent.To))
	return s, nil
}

// commits waits until all is saved.
func (m *meter) commits(ctx context.Context, first int64, sent live.Sent) ([]live.Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		commits, err := live.Commits(ctx, m.rig.DB, first, sent)
		if err == nil || ctx.Err() != nil {
			return commits, err
		}
		select {
		case <-time.After(settlePoll):
		case <-ctx.Done():
		}
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
