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
// The workers of a process share one. It learns from the stream how much the players do,
// and from the metadata of each message how much all savers together have taken.
type Pace struct {
	// Published returns how many events the stream has ever been given. It is asked
	// while a scope is behind, at most every shortWindow.
	Published func(context.Context) (uint64, error)

	mu     sync.Mutex
	scopes map[events.Scope]progress
	due    time.Time // when the pace allows as many events as were handed out so far

	known     bool    // whether arrivals is known; else it is 0
	arrivals  float64 // events a second, when they were last counted
	published uint64  // by then
	counted   time.Time
	counting  bool
}

// progress is what a consumer had handed out when it was last heard of.
type progress struct {
	consumer string
	handed   uint64
}

const (
	// Arrivals are counted over paceWindow, and over shortWindow as long as nobody
	// plays: a saver at full speed has to find out soon.
	paceWindow  = time.Second
	shortWindow = 25 * time.Millisecond
	// playing is how many arrivals a second make a game that is played.
	playing = 100
	// Savers take catchUp times the rate of arrivals, all scopes and savers together,
	// and leastPace events a second where there are few: what they take beside the
	// players' own is then less of the processors than the players take.
	catchUp   = 2
	leastPace = 5_000
	// cautiously is how many events a second are taken as long as nobody knows: for
	// shortWindow, where a backlog is met.
	cautiously = 20_000
	// longestWait bounds what a strange message can ask for. Eight savers with whole
	// batches wait for two seconds each.
	longestWait = 3 * time.Second
	// countTimeout bounds the question for what was published.
	countTimeout = time.Second
)

// slowDown waits as long as the pace asks for after messages of a scope, of which last is
// the last one. More than behind waiting events are a backlog.
func (p *Pace) slowDown(ctx context.Context, scope events.Scope, last *jetstream.MsgMetadata, behind int) {
	isBehind := last.NumPending > uint64(behind)
	if isBehind {
		p.learn(ctx)
	}
	wait := p.wait(scope, last, isBehind, time.Now())
	if wait <= 0 {
		return
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}

// learn counts the arrivals where that is due. Without an answer the last count
// stands.
func (p *Pace) learn(ctx context.Context) {
	if !p.begin(time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, countTimeout)
	defer cancel()
	published, err := p.Published(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counting = false
	if err == nil {
		p.count(published, time.Now())
	}
}

// begin reports whether the caller has to count the arrivals now; nobody else does.
func (p *Pace) begin(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	window := shortWindow
	if p.arrivals >= playing {
		window = paceWindow
	}
	if p.counting || now.Sub(p.counted) < window {
		return false
	}
	p.counting = true
	return true
}

// count takes note of how many events were ever published by now. The first count
// after a rest tells nothing, nor does one of another stream.
func (p *Pace) count(published uint64, now time.Time) {
	passed, more := now.Sub(p.counted), published-p.published
	p.known = passed > 0 && passed < 3*longestWait && published >= p.published
	p.published, p.counted, p.arrivals = published, now, 0
	if p.known {
		p.arrivals = float64(more) / passed.Seconds()
	}
}

// wait is how long to wait before more of a scope is fetched, when a message with
// this metadata was the last one.
func (p *Pace) wait(scope events.Scope, last *jetstream.MsgMetadata, isBehind bool, now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	is := progress{last.Consumer, last.Sequence.Consumer}
	was := p.scopes[scope]
	if p.scopes == nil {
		p.scopes = make(map[events.Scope]progress)
	}
	p.scopes[scope] = is
	if is.consumer != was.consumer || is.handed < was.handed {
		was = is // the first that is heard of it, another consumer, or one that was moved
	}
	if p.known && p.arrivals < playing {
		p.due = now
		return 0
	}
	if isBehind {
		rate := max(leastPace, catchUp*p.arrivals)
		if !p.known {
			rate = cautiously
		}
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
