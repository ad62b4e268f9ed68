package scale

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"github.com/savepoint-games/savepoint/bench/live"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/usage"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/events"
)

const (
	// full is how busy the cores are when more savers cannot save more.
	full = 0.85
	// linear is what n savers must reach of n times one, while the cores are not
	// full; steady is what they must reach of the best so far when they are.
	linear, steady = 0.9, 0.95
	// drainTimeout bounds one drain.
	drainTimeout = 5 * time.Minute
)

// drained is what some savers did.
type drained struct {
	savers, events int
	rate           float64 // events a second
	busy           float64 // how much of the cores all of this took, 0 to 1
	deadlocks      int
	retries        int // transactions that failed
}

// drains measures one case with each number of savers.
func (m *meter) drains(ctx context.Context, c Case) (rows []report.Row, err error) {
	proxy, options, err := m.far(c.RoundTrip, c.Batch)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, proxy.Close()) }()
	var all []drained
	for _, savers := range m.Sizes.Savers {
		d, err := m.drain(ctx, c, options, savers)
		if err != nil {
			return rows, fmt.Errorf("%d savers: %w", savers, err)
		}
		m.sayf("scale: %s, %d savers: %.0f events/s, cores %.0f %% busy", c, savers, d.rate, 100*d.busy)
		all = append(all, d)
	}
	return append(rateRows(c, all), lockRows(c, all)...), nil
}

// String names the case.
func (c Case) String() string {
	name := fmt.Sprintf("%s away", c.RoundTrip)
	if c.Batch > 0 {
		name += fmt.Sprintf(", batch %d", c.Batch)
	}
	if c.Zipf > 0 {
		name += fmt.Sprintf(", Zipf %g", c.Zipf)
	}
	return name
}

// drain fills the stream while so many savers wait, lets them go, and waits
// until all is saved. The rows are compared with what the events lead to.
func (m *meter) drain(ctx context.Context, c Case, options rig.Options, savers int) (d drained, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if err := m.rig.Reset(ctx); err != nil {
		return d, err
	}
	var running []*rig.Program
	for range savers {
		p, err := m.rig.StartSaver(ctx, options)
		if err != nil {
			return d, err
		}
		running = append(running, p)
	}
	if err := m.rig.Pause(ctx); err != nil {
		return d, err
	}
	load := workload.Config{Kind: workload.KindVitals, Events: savers * c.PerSaver, Zipf: c.Zipf, Seed: m.Seed}
	count, err := m.rig.Fill(ctx, workload.Generate(load), nil)
	if err != nil {
		return d, err
	}
	d = drained{savers: savers, events: count}
	if err := m.timed(ctx, &d); err != nil {
		return d, err
	}
	if err := m.rig.Check(ctx, workload.FinalOf(workload.Generate(load))); err != nil {
		return d, err
	}
	for _, p := range running {
		failed, err := live.Metric(ctx, p.AdminAddr, "savepoint_saver_errors_total")
		if err != nil {
			return d, err
		}
		d.retries += int(failed)
		if err := p.Stop(ctx); err != nil {
			return d, err
		}
	}
	return d, nil
}

// timed lets the savers go and fills in what they did.
func (m *meter) timed(ctx context.Context, d *drained) error {
	locked, err := m.deadlocks(ctx)
	if err != nil {
		return err
	}
	began, err := m.rig.Resume(ctx, events.ScopeVitals)
	if err != nil {
		return err
	}
	before, err := m.cpu()
	if err != nil {
		return err
	}
	if err := m.rig.AwaitSettled(ctx, events.ScopeVitals); err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	after, err := m.cpu()
	if err != nil {
		return err
	}
	d.rate = float64(d.events) / took
	d.busy = (after - before).Seconds() / took / float64(runtime.NumCPU())
	now, err := m.deadlocks(ctx)
	d.deadlocks = now - locked
	return err
}

// cpu is what this process has taken, where the distance is made, and with it
// its children: the servers and the programs. It is 0 where the system does not
// tell.
func (m *meter) cpu() (time.Duration, error) {
	times, err := usage.Sample(usage.Groups{"all": {os.Getpid()}})
	if errors.Is(err, usage.ErrUnsupported) {
		return 0, nil
	}
	return times["all"], err
}

// deadlocks is how many PostgreSQL has counted; a session counts its own at once.
func (m *meter) deadlocks(ctx context.Context) (n int, err error) {
	const query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
	if err := m.rig.DB.QueryRow(ctx, query).Scan(&n); err != nil {
		return 0, fmt.Errorf("count deadlocks: %w", err)
	}
	return n, nil
}

func rateRows(c Case, all []drained) (rows []report.Row) {
	best, first := 0.0, all[0]
	for i, d := range all {
		row := report.Row{
			Section: "savers " + c.String(), Case: fmt.Sprintf("%d savers, cores %.0f %% busy", d.savers, 100*d.busy),
			Value: d.rate, Unit: "events/s",
		}
		switch n := float64(d.savers) / float64(first.savers); {
		case i == 0:
		case d.busy < full:
			row = row.AtLeast(linear, n*first.rate, fmt.Sprintf("%g times one", n))
		default:
			row.Case += ": full"
			row = row.AtLeast(steady, best, "the best so far")
		}
		best = max(best, d.rate)
		rows = append(rows, row)
	}
	return rows
}

func lockRows(c Case, all []drained) []report.Row {
	deadlocks, retries := 0, 0
	for _, d := range all {
		deadlocks += d.deadlocks
		retries += d.retries
	}
	row := report.Row{Section: "savers " + c.String(), Case: "all"}
	return []report.Row{
		row.With(float64(deadlocks), "deadlocks").Below(1),
		row.With(float64(retries), "transactions that failed").Below(1),
	}
}
