package fresh

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bench/live"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/events"
)

const (
	// burstWindow is short against a return, and has 500 events at 2,000 a second.
	burstWindow = 250 * time.Millisecond
	// burstCharacters have the events of the burst among them: 4 a second each.
	burstCharacters = 10_000
	// burstAcks is of how many events of the burst one is acknowledged.
	burstAcks = 100
	// backAt is the p50 of a window, and shakyAt the p99, as multiples of the
	// same before the burst.
	backAt, shakyAt = 2, 5
)

// burst publishes at the rate all the time, and for a while a burst on top of it.
func (m *meter) burst(ctx context.Context) (rows []report.Row, err error) {
	saver, err := m.rig.StartSaver(ctx, rig.Options{})
	if err != nil {
		return nil, err
	}
	s := m.Sizes
	m.sayf("fresh: %g events/s for %s on top of %g", s.BurstRate, s.Burst, s.Rate)
	others, err := m.chars(ctx, burstCharacters)
	if err != nil {
		return nil, err
	}
	known, err := m.cast(ctx, s.Before+s.Burst+s.After)
	if err != nil {
		return nil, err
	}
	var seen sight
	var extra live.Sent
	var gone time.Time
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		seen, err = m.watch(groupCtx, workload.KindVitals, s.Before+s.Burst+s.After, known)
		return err
	})
	group.Go(func() (err error) {
		if err := rig.Rest(groupCtx, warmUp+s.Before); err != nil {
			return err
		}
		extra, err = live.Publish(groupCtx, live.Load{
			NATS: m.rig.NATSURL(), Rate: s.BurstRate, For: s.Burst, Seed: m.Seed + 1, AckEvery: burstAcks,
			Events: workload.Generate(workload.Config{Kind: workload.KindVitals, Characters: burstCharacters, FirstChar: others, Seed: m.Seed}),
		})
		if err != nil {
			return err
		}
		gone, err = m.backlogGone(groupCtx)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return burstRows(s, seen, extra, gone), saver.Stop(ctx)
}

// smallBacklog is what a saver has in hand at the measured rate, with room.
const smallBacklog = 200

// backlogGone returns when the saver has no more to do than the rate gives it.
func (m *meter) backlogGone(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		b, err := m.rig.Backlog(ctx, events.ScopeVitals)
		if err != nil {
			return time.Time{}, err
		}
		if b.Waiting+b.InFlight <= smallBacklog {
			return time.Now(), nil
		}
		if err := rig.Rest(ctx, 10*time.Millisecond); err != nil {
			return time.Time{}, err
		}
	}
}

func burstRows(s Sizes, seen sight, extra live.Sent, gone time.Time) []report.Row {
	before := live.Latencies(live.Between(seen.commits, seen.sent.From.Add(warmUp), extra.From))
	p50, p99 := live.Percentile(before, 50), live.Percentile(before, 99)
	windows := live.Windows(live.Between(seen.commits, extra.From, seen.sent.To), extra.To, burstWindow)
	back, ok := returned(windows, backAt*p50)
	row := report.Row{Section: fmt.Sprintf("burst of %g/s for %s", s.BurstRate, s.Burst), Case: "savepoint"}
	rows := []report.Row{
		row.With(float64(extra.Events)/extra.To.Sub(extra.From).Seconds(), "events/s published on top"),
		row.With(ms(p50), "ms p50 before"),
		row.With(ms(p99), "ms p99 before"),
		row.With(ms(live.Percentile(live.Latencies(live.Between(seen.commits, extra.From, extra.To)), 50)), "ms p50 in the burst"),
		row.With(gone.Sub(extra.To).Seconds(), "s until the backlog is gone"),
		row.With(float64(back)*burstWindow.Seconds(), fmt.Sprintf("s until p50 < %d times before", backAt)),
	}
	rows[len(rows)-1].Missed = !ok
	// Where a saver swings, a window after the return is as slow as those before it.
	after := windows[min(back, len(windows)):]
	return append(rows,
		row.With(ms(worst(after, 50)), fmt.Sprintf("ms p50, worst %s after the return", burstWindow)).AtMost(backAt, ms(p50), "before"),
		row.With(ms(worst(after, 99)), fmt.Sprintf("ms p99, worst %s after the return", burstWindow)).AtMost(shakyAt, ms(p99), "before"))
}

// worst is the highest of the windows' percentiles.
func worst(windows []live.Window, percent float64) (highest time.Duration) {
	for _, w := range windows {
		highest = max(highest, live.Percentile(w.Latencies, percent))
	}
	return highest
}

// returned is the number of the first window whose median is below a limit.
func returned(windows []live.Window, limit time.Duration) (int, bool) {
	for i, w := range windows {
		if len(w.Latencies) > 0 && live.Percentile(w.Latencies, 50) < limit {
			return i, true
		}
	}
	return len(windows), false
}
