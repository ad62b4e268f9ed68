// Package growth measures whether an event costs more where there is more
// already: events in the stream, characters in the database.
package growth

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/bench/live"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/usage"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/events"
)

// Config says what to measure.
type Config struct {
	Bin   string // directory of the built programs
	Seed  uint64
	Quick bool
	// Progress is told what is going on; it may be nil.
	Progress func(line string)
	// Sizes defaults to those of Quick, or of a whole run.
	Sizes Sizes
}

// Sizes are numbers. Both of the pairs begin with the smaller one.
type Sizes struct {
	Events     int    // drained in each measurement
	Stored     [2]int // events that are in the stream before, settled
	Characters [2]int // that have a row before; the second is a multiple of the first
	Repeat     int    // how often each is measured; the least CPU time counts
	// Rest is how long the larger stream is left alone before it is drained:
	// what was written is on its way to the disk meanwhile, and takes processors.
	Rest time.Duration
}

func sizes(quick bool) Sizes {
	if quick {
		return Sizes{Events: 20_000, Stored: [2]int{10_000, 100_000}, Characters: [2]int{10_000, 100_000}, Repeat: 1}
	}
	return Sizes{Events: 200_000, Stored: [2]int{10_000, 10_000_000}, Characters: [2]int{10_000, 1_000_000}, Repeat: 2, Rest: 40 * time.Second}
}

// same is how much more an event may cost and still count as the same.
const same = 1.1

// Run measures everything on servers of its own, with one saver.
func Run(ctx context.Context, c Config) (rows []report.Row, err error) {
	if c.Sizes == (Sizes{}) {
		c.Sizes = sizes(c.Quick)
	}
	if c.Progress == nil {
		c.Progress = func(string) {}
	}
	servers, err := rig.Start(ctx, rig.All(c.Bin))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	m := &meter{Config: c, rig: servers, next: time.Now().Add(-30 * 24 * time.Hour)}
	for _, part := range []func(context.Context) ([]report.Row, error){m.characters, m.stored} {
		if err := servers.Reset(ctx); err != nil {
			return rows, err
		}
		more, err := part(ctx)
		rows = append(rows, more...)
		if err != nil {
			return rows, fmt.Errorf("growth: %w", err)
		}
	}
	return rows, nil
}

// meter measures on one set of servers.
type meter struct {
	Config
	rig *rig.Rig
	// next is when the events of the next workload begin to happen: each is
	// newer than all before it, so that all of them change rows.
	next time.Time
}

func (m *meter) sayf(format string, values ...any) { m.Progress(fmt.Sprintf(format, values...)) }

// vitals are events about so many characters.
func (m *meter) vitals(count, characters int) iter.Seq[events.StateChanged] {
	start := m.next
	m.next = start.Add(time.Hour)
	return workload.Generate(workload.Config{
		Kind: workload.KindVitals, Events: count, Characters: characters, Seed: m.Seed + uint64(start.UnixMicro()), Start: start,
	})
}

// apart moves the characters of some events apart, from 1, 2, 3 to 1, 1 + step,
// 1 + 2 step: the same number of rows, each on a page of its own.
func apart(all iter.Seq[events.StateChanged], step int) iter.Seq[events.StateChanged] {
	return func(yield func(events.StateChanged) bool) {
		for e := range all {
			char := 1 + (e.CharID-1)*events.CharID(step)
			if !yield(events.New(char, e.Version, e.Cause, uuid.Nil, e.Scope, e.Data)) {
				return
			}
		}
	}
}

// stored compares the cost with few and with many events in the stream.
func (m *meter) stored(ctx context.Context) ([]report.Row, error) {
	few, many := m.Sizes.Stored[0], m.Sizes.Stored[1]
	characters := m.Sizes.Characters[0]
	if err := live.Populate(ctx, m.rig.DB, 1, int64(characters)); err != nil {
		return nil, err
	}
	if err := m.store(ctx, few, characters); err != nil {
		return nil, err
	}

	small, err := m.best(ctx, func() iter.Seq[events.StateChanged] { return m.vitals(m.Sizes.Events, characters) })
	if err != nil {
		return nil, err
	}
	if err := m.store(ctx, many-few, characters); err != nil {
		return nil, err
	}
	if err := rig.Rest(ctx, m.Sizes.Rest); err != nil {
		return nil, err
	}
	large, err := m.best(ctx, func() iter.Seq[events.StateChanged] { return m.vitals(m.Sizes.Events, characters) })
	if err != nil {
		return nil, err
	}
	return compared("growth, events in the stream", small.usual.of(number(few)), large.usual.of(number(many))), nil
}

// store publishes events that the savers shall never see.
func (m *meter) store(ctx context.Context, count, characters int) error {
	m.sayf("growth: storing %d events", count)
	_, err := m.rig.Fill(ctx, m.vitals(count, characters), func(done int) {
		if done%1_000_000 == 0 {
			m.sayf("growth: %d of %d events are stored", done, count)
		}
	})
	if err != nil {
		return err
	}
	return m.rig.Skip(ctx, events.ScopeVitals)
}

// characters compares the cost with few and with many characters. The same
// number of events over more characters folds less, whatever the product does;
// what growth alone costs is seen where the events are about as many characters,
// spread over all pages of the larger table. Beside it stands what it costs when
// all characters play.
func (m *meter) characters(ctx context.Context) ([]report.Row, error) {
	few, many := m.Sizes.Characters[0], m.Sizes.Characters[1]
	if err := live.Populate(ctx, m.rig.DB, 1, int64(few)); err != nil {
		return nil, err
	}
	small, err := m.best(ctx, func() iter.Seq[events.StateChanged] { return m.vitals(m.Sizes.Events, few) })
	if err != nil {
		return nil, err
	}
	m.sayf("growth: making %d characters", many)
	if err := live.Populate(ctx, m.rig.DB, 1, int64(many)); err != nil {
		return nil, err
	}
	large, err := m.best(ctx, func() iter.Seq[events.StateChanged] { return apart(m.vitals(m.Sizes.Events, few), many/few) })
	if err != nil {
		return nil, err
	}
	all, err := m.best(ctx, func() iter.Seq[events.StateChanged] { return m.vitals(m.Sizes.Events, many) })
	if err != nil {
		return nil, err
	}
	const section = "growth, characters"
	one, some := small.usual.of(number(few)), fmt.Sprintf("%s of %s", number(few), number(many))
	rows := compared(section, one, large.usual.of(some))
	rows = append(rows, unasked(figures(section, all.usual.of(fmt.Sprintf("all of %s play", number(many))), one))...)
	const after = ", after a checkpoint"
	return append(rows, unasked(compared(section, small.first.of(number(few)+after), large.first.of(some+after)))...), nil
}

// unasked are rows of which nothing is wanted.
func unasked(rows []report.Row) []report.Row {
	for i := range rows {
		rows[i].Want, rows[i].Missed = "", false
	}
	return rows
}

// number writes 10000 as 10 thousand.
func number(n int) string {
	switch {
	case n%1_000_000 == 0:
		return fmt.Sprintf("%d million", n/1_000_000)
	case n%1000 == 0:
		return fmt.Sprintf("%d thousand", n/1000)
	}
	return fmt.Sprint(n)
}

// measured is what one drain took.
type measured struct {
	name   string
	events int
	rate   float64 // events a second
	cpu    usage.Times
	images int64 // of whole pages in PostgreSQL's log
}

// both are the cheapest drain right after a checkpoint, when PostgreSQL writes
// each page that it changes to its log whole, and the cheapest of those that
// followed one: the usual case, since a checkpoint comes once in minutes.
type both struct{ first, usual measured }

func (d measured) of(name string) measured {
	d.name = name
	return d
}

func (d measured) perMillion(cpu time.Duration) float64 {
	return cpu.Seconds() / float64(d.events) * 1e6
}

// compared are the figures of the first, and those of the others with what is
// wanted of them.
func compared(section string, first measured, others ...measured) []report.Row {
	rows := figures(section, first, first)
	for _, d := range others {
		rows = append(rows, figures(section, d, first)...)
	}
	return rows
}

// figures are those of one drain; unless it is the first, compared with that.
func figures(section string, d, first measured) []report.Row {
	row := func(name, unit string, value func(measured) float64) report.Row {
		r := report.Row{Section: section, Case: name, Value: value(d), Unit: unit}
		if d.name != first.name {
			r = r.Against(value(first), first.name)
		}
		return r
	}
	cpu := row(d.name, "CPU s/million", func(m measured) float64 { return m.perMillion(m.cpu.Total()) })
	if d.name != first.name {
		cpu = cpu.AtMost(same, first.perMillion(first.cpu.Total()), first.name)
	}
	rows := []report.Row{cpu, row(d.name, "events/s", func(m measured) float64 { return m.rate })}
	for _, process := range slices.Sorted(maps.Keys(d.cpu)) {
		rows = append(rows, row(d.name+", "+process, "CPU s/million", func(m measured) float64 { return m.perMillion(m.cpu[process]) }))
	}
	images := float64(d.images) * 1000 / float64(d.events)
	return append(rows, report.Row{Section: section, Case: d.name, Value: images, Unit: "page images in the WAL per 1000 events"})
}

// best measures as often as is asked for, and returns those that took the least.
func (m *meter) best(ctx context.Context, load func() iter.Seq[events.StateChanged]) (best both, err error) {
	for range m.Sizes.Repeat {
		if _, err := m.rig.DB.Exec(ctx, "CHECKPOINT"); err != nil {
			return best, fmt.Errorf("checkpoint: %w", err)
		}
		for _, least := range []*measured{&best.first, &best.usual} {
			d, err := m.drain(ctx, load())
			if err != nil {
				return best, err
			}
			m.sayf("growth: %.0f events/s, %.1f CPU s a million, %d page images", d.rate, d.perMillion(d.cpu.Total()), d.images)
			if least.events == 0 || d.cpu.Total() < least.cpu.Total() {
				*least = d
			}
		}
	}
	return best, nil
}

// drainTimeout bounds one drain.
const drainTimeout = 5 * time.Minute

// drain measures one saver with a backlog.
func (m *meter) drain(ctx context.Context, load iter.Seq[events.StateChanged]) (d measured, err error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	counted, err := m.rig.Counters(ctx)
	if err != nil {
		return d, err
	}
	saver, err := m.rig.StartSaver(ctx, rig.Options{})
	if err != nil {
		return d, err
	}
	if err := m.rig.Pause(ctx, events.ScopeVitals); err != nil {
		return d, err
	}
	count, err := m.rig.Fill(ctx, load, nil)
	if err != nil {
		return d, err
	}
	began, err := m.rig.Resume(ctx, events.ScopeVitals)
	if err != nil {
		return d, err
	}
	cpu, err := m.cpu()
	if err != nil {
		return d, err
	}
	if err := m.rig.AwaitSettled(ctx, events.ScopeVitals); err != nil {
		return d, err
	}
	d = measured{events: count, rate: float64(count) / time.Since(began).Seconds()}
	after, err := m.cpu()
	if err != nil {
		return d, err
	}
	d.cpu = after.Since(cpu)
	if err := saver.Stop(ctx); err != nil {
		return d, err
	}
	since, err := m.rig.Counters(ctx)
	d.images = since.Since(counted).PageImages
	return d, err
}

// cpu is what the servers and the saver have taken, nothing where the system
// does not tell.
func (m *meter) cpu() (usage.Times, error) {
	times, err := usage.Sample(m.rig.Pids())
	if errors.Is(err, usage.ErrUnsupported) {
		return nil, nil
	}
	return times, err
}
