// Package scale measures savers beside each other, with a distance between them
// and PostgreSQL: so one saver waits most of the time, and what another adds is
// not taken from the first.
package scale

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/savepoint-games/savepoint/bench/delay"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
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

// Sizes say how much is measured.
type Sizes struct {
	Savers []int // how many at a time, the first is the one that the others are compared with
	// Cases are the ways in which they drain.
	Cases []Case
	// Joining is how long savers join and leave, and every how often one does.
	Joining, JoinEvery time.Duration
	JoinRate           float64 // events a second meanwhile
	JoinDelay          time.Duration
	// JoinAckWait is how soon another saver gets what a killed one had in hand.
	//
	// Defaults to the product's.
	JoinAckWait time.Duration
}

// A Case is a backlog and a distance.
type Case struct {
	Zipf      float64       // skew of the characters, 0 is uniform
	RoundTrip time.Duration // between savers and PostgreSQL
	// Batch is SAVER_BATCH. A saver has at most two transactions under way, so
	// with batches of 100 and 50 ms it saves at most some 4,000 events a second
	// and leaves the cores idle. With its own batches it saves 150,000, and two fill
	// two cores. 0 is the saver's own.
	Batch int
	// PerSaver is the backlog of each saver.
	PerSaver int
}

func sizes(quick bool) Sizes {
	if quick {
		return Sizes{
			Savers: []int{1, 4}, JoinDelay: 10 * time.Millisecond,
			Cases:   []Case{{RoundTrip: 50 * time.Millisecond, Batch: 100, PerSaver: 2500}},
			Joining: 3 * time.Second, JoinEvery: 600 * time.Millisecond, JoinRate: 1000, JoinAckWait: time.Second,
		}
	}
	return Sizes{
		Savers: []int{1, 2, 4, 8}, JoinDelay: 20 * time.Millisecond,
		Cases: []Case{
			{RoundTrip: 50 * time.Millisecond, Batch: 100, PerSaver: 6000},
			{RoundTrip: 50 * time.Millisecond, Batch: 100, PerSaver: 6000, Zipf: 1.2},
			{RoundTrip: 10 * time.Millisecond, Batch: 100, PerSaver: 20_000},
			{RoundTrip: 50 * time.Millisecond, PerSaver: 150_000},
			{RoundTrip: 50 * time.Millisecond, PerSaver: 150_000, Zipf: 1.2},
		},
		Joining: 20 * time.Second, JoinEvery: time.Second, JoinRate: 2000,
	}
}

// Run measures everything on servers of its own.
func Run(ctx context.Context, c Config) (rows []report.Row, err error) {
	if c.Sizes.Savers == nil {
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
	m := &meter{Config: c, rig: servers}
	for _, one := range c.Sizes.Cases {
		more, err := m.drains(ctx, one)
		rows = append(rows, more...)
		if err != nil {
			return rows, fmt.Errorf("many savers: %w", err)
		}
	}
	more, err := m.joining(ctx)
	if err != nil {
		err = fmt.Errorf("savers join and leave: %w", err)
	}
	return append(rows, more...), err
}

// meter measures on one set of servers.
type meter struct {
	Config
	rig *rig.Rig
}

func (m *meter) sayf(format string, values ...any) { m.Progress(fmt.Sprintf(format, values...)) }

// far makes a way to PostgreSQL with a round trip, and the options of a saver
// that takes it. batch is SAVER_BATCH, 0 for the saver's own.
func (m *meter) far(roundTrip time.Duration, batch int) (*delay.Proxy, rig.Options, error) {
	server, err := url.Parse(m.rig.PostgresURL())
	if err != nil {
		return nil, rig.Options{}, err
	}
	proxy, err := delay.Start(server.Host, roundTrip)
	if err != nil {
		return nil, rig.Options{}, err
	}
	way := *server
	way.Host = proxy.Addr()
	options := rig.Options{Env: []string{"DATABASE_URL=" + way.String()}}
	if batch > 0 {
		options.Env = append(options.Env, "SAVER_BATCH="+strconv.Itoa(batch))
	}
	return proxy, options, nil
}
