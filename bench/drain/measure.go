package drain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/savepoint-games/savepoint/bench/live"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/usage"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// measured is one drain.
type measured struct {
	events  int
	elapsed time.Duration
	cpu     usage.Times // saver, nats, redis, postgres
	pg      rig.Counters
	saved   int // events that were saved, those that came again as often
}

func (m measured) rate() float64 { return float64(m.events) / m.elapsed.Seconds() }

// perMillion is CPU seconds a million events.
func (m measured) perMillion(cpu time.Duration) float64 {
	return cpu.Seconds() * 1e6 / float64(m.events)
}

func (m measured) perEvent(n int64) float64 { return float64(n) / float64(m.events) }

// A crew is what drains.
type crew struct {
	savers int
	name   string   // what is unusual about it
	path   string   // of the program; "" for the shipped one
	env    []string // of each
}

var (
	oneSaver  = crew{savers: 1}
	twoSavers = crew{savers: 2}
	// What a saver gains is told by one that does without it.
	without = []crew{
		{savers: 1, name: "characters in one lane", env: []string{"SAVER_LANES=1"}},
		{savers: 1, name: "each event acknowledged", env: []string{"SAVER_CATCH_UP=false"}},
	}
)

// median repeats a drain and returns the one in the middle of the rates.
func (m *meter) median(ctx context.Context, events workload.Config, want *workload.Final, by crew) (measured, error) {
	all := make([]measured, 0, m.Sizes.Repeat)
	for range max(1, m.Sizes.Repeat) {
		one, err := m.drain(ctx, events, want, by)
		if err != nil {
			return one, err
		}
		m.sayf("drain %s, %d savers %s: %.0f events/s, %.1f CPU s a million", events.Kind, by.savers, by.env, one.rate(), one.perMillion(one.cpu.Total()))
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b measured) int { return cmp.Compare(a.elapsed, b.elapsed) })
	return all[len(all)/2], nil
}

// drain lets a backlog grow before savers that are up and idle, lets them loose,
// and measures until the last event is acknowledged. Then it compares the rows.
func (m *meter) drain(ctx context.Context, events workload.Config, want *workload.Final, by crew) (out measured, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if err := m.rig.Reset(ctx); err != nil {
		return out, err
	}
	before, err := m.rig.Counters(ctx)
	if err != nil {
		return out, err
	}
	running, err := m.idle(ctx, by)
	if err != nil {
		return out, err
	}
	if err := m.rig.Pause(ctx, events.Kind.Scopes()...); err != nil {
		return out, err
	}
	if out.events, err = m.rig.Fill(ctx, workload.Deliver(events), nil); err != nil {
		return out, err
	}
	if err := m.letLoose(ctx, events, &out); err != nil {
		return out, err
	}
	for _, p := range running {
		saved, err := live.Metric(ctx, p.AdminAddr, "savepoint_saver_events_total")
		if err != nil {
			return out, err
		}
		out.saved += int(saved)
		if err := p.Stop(ctx); err != nil {
			return out, err
		}
	}
	after, err := m.rig.Counters(ctx)
	if err != nil {
		return out, err
	}
	out.pg = after.Since(before)
	return out, m.rig.Check(ctx, want)
}

// idle starts a crew and returns when all of it waits for events.
func (m *meter) idle(ctx context.Context, c crew) (running []*rig.Program, err error) {
	for range c.savers {
		p, err := m.rig.StartSaver(ctx, rig.Options{Path: c.path, Env: c.env})
		if err != nil {
			return nil, err
		}
		running = append(running, p)
	}
	for _, scope := range workload.KindMix.Scopes() {
		for {
			b, err := m.rig.Backlog(ctx, scope)
			if err == nil && b.Asking >= c.savers {
				break
			}
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%d savers do not ask for %s events: %+v (%v)", c.savers, scope, b, err)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	return running, nil
}

// afterwork is how long the CPU time is counted beyond the last ack: a saver
// clears the dirty marks of a batch after it.
const afterwork = 50 * time.Millisecond

func (m *meter) letLoose(ctx context.Context, events workload.Config, out *measured) error {
	groups := usage.Groups(m.rig.Pids())
	before, err := usage.Sample(groups)
	if err != nil {
		return err
	}
	began, err := m.rig.Resume(ctx, events.Kind.Scopes()...)
	if err != nil {
		return err
	}
	if err := m.rig.AwaitSettled(ctx, events.Kind.Scopes()...); err != nil {
		return err
	}
	out.elapsed = time.Since(began)
	time.Sleep(afterwork)
	after, err := usage.Sample(groups)
	out.cpu = after.Since(before)
	return err
}
