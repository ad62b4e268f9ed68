package live

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/events"
)

// A Load is events that are published at a rate that does not depend on how fast
// anybody is: a publisher that was held up makes up for it.
type Load struct {
	NATS string // url
	// Events are what to publish, each with the time of its publishing as its
	// version; its own is not used.
	Events iter.Seq[events.StateChanged]
	Rate   float64 // events a second on average; the gaps are random, as those of many players
	For    time.Duration
	Seed   uint64
	// AckEvery says of how many events one is acknowledged by the stream.
	// Gateways want all to be; where a burst is the point, the acks would take
	// from the cores what the burst is for.
	//
	// Defaults to 1.
	AckEvery int
}

// Sent is what a Load came to.
type Sent struct {
	From, To time.Time
	Events   int
	Since    events.Version // that of the first
}

// maxUnacked bounds the acks that are waited for. Beyond it the publisher waits,
// and is late: the server drops what more than 10,000 messages wait for one
// stream.
const maxUnacked = 2000

// pace is how long the publisher sleeps at least: what falls due meanwhile is
// published together.
const pace = 100 * time.Microsecond

// ackTimeout is how long the last acks may take.
const ackTimeout = 10 * time.Second

// Publish publishes a load and returns when the stream has acknowledged it.
func Publish(ctx context.Context, l Load) (s Sent, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("publish %g events a second: %w", l.Rate, err)
		}
	}()
	nc, err := nats.Connect(l.NATS, nats.Name("bench load"))
	if err != nil {
		return s, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(maxUnacked))
	if err != nil {
		return s, err
	}
	p := &publisher{nc: nc, js: js, ackEvery: max(l.AckEvery, 1)}
	next, stop := iter.Pull(l.Events)
	defer stop()
	random := rand.New(rand.NewPCG(l.Seed, 0x10ad))
	s.From = time.Now()
	for due := time.Duration(0); due < l.For && ctx.Err() == nil; {
		if wait := due - time.Since(s.From); wait > 0 {
			time.Sleep(max(wait, pace))
		}
		for now := time.Since(s.From); due <= now && due < l.For; {
			e, ok := next()
			if !ok {
				return s, fmt.Errorf("only %d events to publish", s.Events)
			}
			v, err := p.publish(&e)
			if err != nil {
				return s, err
			}
			if s.Events++; s.Events == 1 {
				s.Since = v
			}
			due += time.Duration(random.ExpFloat64() / l.Rate * float64(time.Second))
		}
	}
	s.To = time.Now()
	return s, p.settle(ctx)
}

type publisher struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	ackEvery int
	count    int
	last     events.Version
	acks     []jetstream.PubAckFuture
}

// publish sends e with the present time as its version.
func (p *publisher) publish(e *events.StateChanged) (events.Version, error) {
	body, v, err := stamp(e, p.last)
	if err != nil {
		return 0, err
	}
	p.last = v
	subject := events.Subject(e.Scope, e.CharID)
	if p.count++; p.count%p.ackEvery != 0 {
		return v, p.nc.Publish(subject, body)
	}
	ack, err := p.js.PublishAsync(subject, body)
	if err != nil {
		return 0, err
	}
	p.acks = append(p.acks, ack)
	return v, nil
}

// stamp encodes the event as one that happens now, after last.
func stamp(e *events.StateChanged, last events.Version) ([]byte, events.Version, error) {
	v := max(events.Version(time.Now().UnixMicro()), last+1)
	now := events.New(e.CharID, v, e.Cause, e.SessionID, e.Scope, e.Data)
	body, err := events.Encode(&now)
	return body, v, err
}

// settle waits for the acks; one that failed is an error.
func (p *publisher) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	for _, ack := range p.acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return err
		case <-ctx.Done():
			return fmt.Errorf("wait for acks: %w", ctx.Err())
		}
	}
	return p.nc.FlushWithContext(ctx)
}

// Strangers are events of which each is about a character of its own, from first
// on, so that each leaves a row that tells when it was committed. They never end.
func Strangers(kind workload.Kind, first int64, seed uint64) iter.Seq[events.StateChanged] {
	return func(yield func(events.StateChanged) bool) {
		for n := int64(0); ; n++ {
			one := workload.Config{Kind: kind, Events: 1, Characters: 1, FirstChar: first + n, Seed: seed + uint64(n)}
			for e := range workload.Generate(one) {
				if !yield(e) {
					return
				}
			}
		}
	}
}
