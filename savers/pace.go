package savers

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// A Pace slows down savers that are behind while players play: a backlog that is
// drained at full speed takes the stream, and the processors of its machine, from
// those whose actions wait for an ack. Nothing is lost meanwhile, so the players
// come first. Where nobody plays, or nothing much waits, there is no pace.
//
// The workers of a process share one. It sees what it needs in what a consumer
// says with each message: how many it has handed out so far, to all savers
// together, and how many wait. The sum grows by what is published, and by what is
// handed out again, which is no play. The zero value is ready.
type Pace struct {
	mu     sync.Mutex
	scopes map[events.Scope]progress
	due    time.Time // when as many events as were handed out may have been

	// The rate of arrivals, counted over a window that began at a moment.
	arrivals float64
	arrived  uint64
	since    time.Time
	window   time.Duration
}

// progress is what a consumer had handed out, and what was published, when it
// was last heard of.
type progress struct {
	consumer      string
	handed, known uint64
}

const (
	// Arrivals are counted for paceWindow, and for shortWindow as long as nobody
	// plays: a saver at full speed has to find out soon, one that waits has messages
	// that are some batches old, so a short window would see none, or two in one.
	paceWindow  = time.Second
	shortWindow = 50 * time.Millisecond
	// playing is how many arrivals a second make a game that is played.
	playing = 100
	// Savers take catchUp times the rate of arrivals, all scopes and savers together,
	// and leastPace events a second where there are few: what they take beside the
	// players' own is then less of the processors than the players take.
	catchUp   = 3
	leastPace = 5_000
	// longestWait bounds what a strange message can ask for. Eight savers with whole
	// batches wait for two seconds each.
	longestWait = 3 * time.Second
)

// wait is how long to wait before more of a scope is fetched, when a message with
// this metadata was the last one, and again tells how many of those fetched with it
// had been handed out before; more waiting events than behind are a backlog.
func (p *Pace) wait(scope events.Scope, last *jetstream.MsgMetadata, again func() uint64, behind int, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	is := progress{consumer: last.Consumer, handed: last.Sequence.Consumer, known: last.Sequence.Consumer + last.NumPending}
	was, met := p.scopes[scope]
	if !met {
		was = is
		if p.scopes == nil {
			p.scopes = make(map[events.Scope]progress)
		}
	}
	p.scopes[scope] = is
	if is.consumer != was.consumer || is.handed < was.handed || is.known < was.known {
		was = is // another consumer, or one that was moved
	}
	more := is.known - was.known
	if more > 0 { // seldom in a backlog: it costs a look at each message
		more -= min(more, again())
	}
	p.count(more, now)
	if p.arrivals < playing {
		p.due = now
		return 0
	}
	isBehind := last.NumPending > uint64(behind)
	if isBehind {
		rate := max(leastPace, catchUp*p.arrivals)
		p.due = p.due.Add(time.Duration(float64(is.handed-was.handed) / rate * float64(time.Second)))
	}
	if p.due.Before(now) {
		p.due = now
	}
	if !isBehind { // a scope that is not behind waits for none that is
		return 0
	}
	return min(p.due.Sub(now), longestWait)
}

// count takes note of so many events that were published.
func (p *Pace) count(more uint64, now time.Time) {
	p.arrived += more
	passed := now.Sub(p.since)
	fresh := p.since.IsZero() || passed > 3*longestWait // the first after a rest tells nothing
	if !fresh && passed < p.window {
		return
	}
	p.arrivals, p.window = 0, shortWindow
	if !fresh {
		p.arrivals = float64(p.arrived) / passed.Seconds()
	}
	if p.arrivals >= playing {
		p.window = paceWindow
	}
	p.since, p.arrived = now, 0
}

// slowDown waits as long as the pace asks for after these messages.
func (p *Pace) slowDown(ctx context.Context, scope events.Scope, msgs []jetstream.Msg, behind int) {
	if len(msgs) == 0 {
		return
	}
	last, err := msgs[len(msgs)-1].Metadata()
	if err != nil {
		return // what is no event is found out later
	}
	wait := p.wait(scope, last, func() uint64 { return handedOutAgain(msgs) }, behind, time.Now())
	if wait <= 0 {
		return
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// handedOutAgain counts the messages that come for the second time or later.
func handedOutAgain(msgs []jetstream.Msg) (n uint64) {
	for _, msg := range msgs {
		if meta, err := msg.Metadata(); err == nil && meta.NumDelivered > 1 {
			n++
		}
	}
	return n
}
