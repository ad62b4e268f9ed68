package savers

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A pace slows down savers that are behind while players play: a backlog that is
// drained at full speed takes the stream, and the processors of its machine, from
// those whose actions wait for an ack. Nothing is lost meanwhile, so the players
// come first. Where nobody plays, or nothing much waits, there is no pace.
//
// It sees what it needs in what the consumer says with each message: how many it
// has handed out so far, to all savers together, and how many wait. The sum grows
// by what is published.
type pace struct {
	behind uint64 // as many waiting events are a backlog

	handed uint64    // events handed out when it was last asked
	due    time.Time // when so many may have been
	// The rate of arrivals, counted from a moment on, when so many were known.
	arrivals float64
	since    time.Time
	known    uint64
	window   time.Duration
}

const (
	// Arrivals are counted for paceWindow, the first time for firstWindow. Messages
	// that lie ready are some batches old, so a short window would see none, or two
	// in one.
	paceWindow  = time.Second
	firstWindow = 50 * time.Millisecond
	// playing is how many arrivals a second make a game that is played.
	playing = 100
	// A backlog is drained at catchUp times the rate of arrivals, by all savers
	// together, and at leastPace events a second where there are few.
	catchUp   = 3
	leastPace = 20_000
	// longestWait bounds what a strange message can ask for. Eight savers with whole
	// batches wait for two seconds each.
	longestWait = 3 * time.Second
)

// wait is how long to wait before more is fetched, when a message with this
// metadata was the last one.
func (p *pace) wait(last *jetstream.MsgMetadata, now time.Time) time.Duration {
	handed := last.Sequence.Consumer
	known := handed + last.NumPending
	fresh := p.since.IsZero() || known < p.known || handed < p.handed
	switch passed := now.Sub(p.since); {
	case fresh || passed > 3*longestWait: // the first after a rest tells nothing
		p.arrivals, p.since, p.known, p.window = 0, now, known, firstWindow
	case passed >= p.window:
		p.arrivals, p.since, p.known, p.window = float64(known-p.known)/passed.Seconds(), now, known, paceWindow
	}
	more := handed - p.handed
	p.handed = handed
	if fresh || last.NumPending <= p.behind || p.arrivals < playing {
		p.due = now
		return 0
	}
	rate := max(leastPace, catchUp*p.arrivals)
	p.due = p.due.Add(time.Duration(float64(more) / rate * float64(time.Second)))
	if p.due.Before(now) {
		p.due = now
	}
	return min(p.due.Sub(now), longestWait)
}

// slowDown waits as long as the pace asks for after these messages.
func (p *pace) slowDown(ctx context.Context, msgs []jetstream.Msg) {
	if len(msgs) == 0 {
		return
	}
	last, err := msgs[len(msgs)-1].Metadata()
	if err != nil {
		return // what is no event is found out later
	}
	wait := p.wait(last, time.Now())
	if wait <= 0 {
		return
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
	}
}
