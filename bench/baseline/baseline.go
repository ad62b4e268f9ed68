// Package baseline is what the product is compared with, on the same servers
// and in the same run: one transaction an event, the two limits that no
// pipeline of these parts can pass, PostgreSQL without a queue and the queue
// without work, and the least that a pipeline can do. A baseline runs in a
// process of its own, so that its CPU time can be told from that of the
// measurement.
package baseline

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bench/usage"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// What names a baseline.
type What string

// The baselines.
const (
	// One is (i): 32 workers draw from one consumer; each event is decoded, saved
	// in a transaction of its own, a statement a row, and acknowledged.
	One What = "one"
	// Memory is (ii): events that are decoded already, folded, and saved by the
	// product's statements in batches, over connections that share no character.
	Memory What = "memory"
	// Stream is (iii): events are fetched and acknowledged; nobody looks at them.
	Stream What = "stream"
	// Loop is (v): bare loops over events that are split by character beforehand;
	// each fetches, decodes, folds, saves by the product's statements, and
	// acknowledges a batch at once. Nothing else is done.
	Loop What = "loop"
)

// Config is one run of a baseline.
type Config struct {
	What     What
	Workload workload.Config // what is in the stream, or for Memory what to make
	NATS     string          // url
	Postgres string          // url
	Workers  int             // of One; defaults to 32
	AtOnce   bool            // of One: all rows of an event in one round trip, by the product's savers
	Conns    int             // of Memory; defaults to 1
	Batch    int             // events, of Memory, Stream and Loop; defaults to 5,000
	AckAll   bool            // of Stream: one ack a batch
	// Servers are processes whose CPU time is told with that of the baseline.
	Servers usage.Groups
}

func (c Config) withDefaults() Config {
	if c.Workers < 1 {
		c.Workers = 32
	}
	if c.Conns < 1 {
		c.Conns = 1
	}
	if c.Batch < 1 {
		c.Batch = 5000
	}
	return c
}

// Setting names what is special about this run, as in "batch 5000, 2 connections".
func (c Config) Setting() string {
	c = c.withDefaults()
	switch c.What {
	case One:
		if c.AtOnce {
			return fmt.Sprintf("%d workers, one round trip for its rows", c.Workers)
		}
		return fmt.Sprintf("%d workers, a statement a row", c.Workers)
	case Memory:
		return fmt.Sprintf("batch %d, %d connections", c.Batch, c.Conns)
	case Loop:
		return fmt.Sprintf("batch %d, %d partitions", c.Batch, partitions)
	}
	if c.AckAll {
		return fmt.Sprintf("batch %d, one ack a batch", c.Batch)
	}
	return fmt.Sprintf("batch %d, each acknowledged", c.Batch)
}

// Result is what a run took, from the first event handed out to the last one
// settled.
type Result struct {
	Events  int
	Seconds float64
	CPU     usage.Times // "baseline" is its own process
}

// Rate is events a second.
func (r Result) Rate() float64 { return float64(r.Events) / r.Seconds }

// Run runs one baseline in this process.
func Run(ctx context.Context, c Config) (r Result, err error) {
	c = c.withDefaults()
	switch c.What {
	case One:
		r, err = runOne(ctx, c)
	case Memory:
		r, err = runMemory(ctx, c)
	case Stream:
		r, err = runStream(ctx, c)
	case Loop:
		r, err = runLoop(ctx, c)
	default:
		err = errors.New("there is no such baseline")
	}
	if err != nil {
		return r, fmt.Errorf("baseline %s, %s: %w", c.What, c.Setting(), err)
	}
	return r, nil
}

// clock measures a run.
type clock struct {
	groups usage.Groups
	began  time.Time
	before usage.Times
}

func startClock(servers usage.Groups) (*clock, error) {
	groups := usage.Groups{"baseline": {os.Getpid()}}
	for name, pids := range servers {
		groups[name] = pids
	}
	before, err := usage.Sample(groups)
	if err != nil && !errors.Is(err, usage.ErrUnsupported) {
		return nil, err
	}
	return &clock{groups, time.Now(), before}, nil
}

func (c *clock) stop(count int) (Result, error) {
	r := Result{Events: count, Seconds: time.Since(c.began).Seconds()}
	after, err := usage.Sample(c.groups)
	if err != nil && !errors.Is(err, usage.ErrUnsupported) {
		return r, err
	}
	r.CPU = after.Since(c.before)
	return r, nil
}

// queuers are the product's savers.
func queuers() map[events.Scope]savers.Queuer {
	return map[events.Scope]savers.Queuer{
		events.ScopeVitals: savers.VitalsStateSaver{}, events.ScopeInventory: savers.InventoryStateSaver{},
		events.ScopeCombat: savers.CombatStateSaver{}, events.ScopeScenario: savers.ScenarioStateSaver{},
	}
}

const (
	consumerName  = "bench-baseline"
	maxAckPending = 200_000
)

// subscribe makes a durable consumer of the baseline's own, of all events of a
// kind. done removes it.
func subscribe(ctx context.Context, c Config, acks jetstream.AckPolicy) (consumer jetstream.Consumer, nc *nats.Conn, done func(), err error) {
	if nc, err = nats.Connect(c.NATS, nats.Name(consumerName)); err != nil {
		return nil, nil, nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, nil, nil, err
	}
	consumer, err = js.CreateConsumer(ctx, bus.StreamChanges, jetstream.ConsumerConfig{
		Durable: consumerName, FilterSubject: filterOf(c), AckPolicy: acks,
		AckWait: time.Minute, MaxAckPending: maxAckPending,
	})
	if err != nil {
		nc.Close()
		return nil, nil, nil, err
	}
	return consumer, nc, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		_ = js.DeleteConsumer(ctx, bus.StreamChanges, consumerName) // goes with the rig otherwise
		nc.Close()
	}, nil
}

// filterOf is the subject of all events of a kind.
func filterOf(c Config) string {
	if c.Workload.Kind == workload.KindMix {
		return "sync.*.*"
	}
	return events.ScopeSubject(c.Workload.Kind.Scopes()[0]) + ".*"
}

const endTimeout = 5 * time.Second

// fetchWait is how long the server may take to hand out a batch that it has.
const fetchWait = 10 * time.Second

// fetchAll hands over count messages in batches, fetching the next while one is
// worked on, and closes out.
func fetchAll(ctx context.Context, consumer jetstream.Consumer, count, batch int, out chan<- []jetstream.Msg) error {
	defer close(out)
	for left := count; left > 0; {
		msgs, err := fetch(ctx, consumer, min(batch, left))
		if err != nil {
			return fmt.Errorf("fetch: %d events are missing: %w", left, err)
		}
		left -= len(msgs)
		select {
		case out <- msgs:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func fetch(ctx context.Context, consumer jetstream.Consumer, count int) ([]jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	fetched, err := consumer.Fetch(count, jetstream.FetchContext(ctx))
	if err != nil {
		return nil, err
	}
	msgs := make([]jetstream.Msg, 0, count)
	for msg := range fetched.Messages() {
		msgs = append(msgs, msg)
	}
	if len(msgs) == 0 {
		return nil, errors.Join(errNothing, fetched.Error())
	}
	return msgs, fetched.Error()
}

var errNothing = errors.New("nothing came")

// awaitAcks returns when the server has seen all acks of count events.
func awaitAcks(ctx context.Context, consumer jetstream.Consumer, nc *nats.Conn, count int) error {
	ctx, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		return err
	}
	for {
		info, err := consumer.Info(ctx)
		if err != nil {
			return fmt.Errorf("wait for the acks: %w", err)
		}
		if info.NumAckPending == 0 && int(info.AckFloor.Consumer) >= count {
			return nil
		}
		time.Sleep(time.Millisecond)
	}
}
