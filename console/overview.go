package console

import (
	"context"
	"slices"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/hot"
)

// overviewPage is what the servers say. What one that does not answer would have said
// is missing.
type overviewPage struct {
	Servers []server
	Scopes  []*scopeLine
	Flow    *flow         // nil where NATS does not answer
	Dirty   *hot.Unsaved  // nil where Redis does not answer
	Behind  int           // characters whose contexts the mirror does not show
	Letters []letter      // the newest
	Dead    uint64        // how many there are
	Lag     time.Duration // of the scope that is furthest behind
	Unsaved uint64
	Away    map[string]string // server to reason, of what could not be asked
}

// server is one that answers, unless it has an Error.
type server struct{ Name, Error string }

// scopeLine is one line of the overview.
type scopeLine struct {
	Scope    events.Scope
	Known    bool // NATS has answered
	Backlog  bus.Backlog
	Lag      time.Duration // age of the oldest unsaved event
	Dead     uint64
	Rates    rates
	Consumer consumer
}

// Late is the alarm of docs/operations.md.
func (l *scopeLine) Late() bool { return l.Lag > time.Minute }

// Nobody reports whether events wait and no saver asks for them.
func (l *scopeLine) Nobody() bool {
	return l.Backlog.Pending > 0 && l.Backlog.InFlight == 0 && l.Consumer.Requests == 0
}

// flow is that of all scopes.
type flow struct {
	rates
	Over  time.Duration // the time between the two samples
	Clock consumer
}

// letter is a dead letter, as shown.
type letter struct {
	events.DeadLetter
	Said string // what it says, where it can be read
}

const (
	// newestLetters is how many dead letters are shown.
	newestLetters = 10
	// countedRows is of how many dirty characters the rows are counted.
	countedRows = 2000
)

func (c *Console) overview(ctx context.Context) *overviewPage {
	page := &overviewPage{Servers: make([]server, len(c.Checks))}
	var of asked
	for i, check := range c.Checks {
		page.Servers[i].Name = check.Name
		of.group.Go(func() {
			var one asked
			one.askNow(ctx, check.Name, askTimeout, check.Ping)
			page.Servers[i].Error = one.away[check.Name]
		})
	}
	of.ask(ctx, events.Redis, askTimeout, func(ctx context.Context) (err error) {
		if page.Dirty, err = c.Hot.CountUnsaved(ctx, countedRows); err == nil {
			page.Behind = page.Dirty.Rows[""]
		}
		return err
	})
	for _, scope := range events.Scopes() {
		line := &scopeLine{Scope: scope, Rates: rates{unknownRate, unknownRate}}
		page.Scopes = append(page.Scopes, line)
		of.ask(ctx, events.NATS, askTimeout, func(ctx context.Context) error { return c.askScope(ctx, line) })
	}
	var before, now *sample
	of.ask(ctx, events.NATS, pause+askTimeout, func(ctx context.Context) (err error) {
		before, now, err = c.samples(ctx)
		return err
	})
	of.ask(ctx, events.NATS, askTimeout, func(ctx context.Context) (err error) {
		page.Letters, err = c.newest(ctx)
		return err
	})
	page.Away = of.wait()
	page.sum(before, now)
	return page
}

// askScope asks how far savers are.
func (c *Console) askScope(ctx context.Context, line *scopeLine) (err error) {
	if line.Backlog, err = c.Stream.Backlog(ctx, line.Scope); err != nil {
		return err
	}
	if line.Backlog.Unsaved() > 0 {
		line.Lag = time.Since(line.Backlog.SavedUpTo)
	}
	line.Dead, err = c.Stream.DeadLetters(ctx, line.Scope)
	line.Known = err == nil
	return err
}

// Part reports whether the rows of some dirty characters only are counted.
func (p *overviewPage) Part() bool {
	return p.Dirty != nil && int64(p.Dirty.Looked) < p.Dirty.Characters
}

// sum adds what follows of the answers.
func (p *overviewPage) sum(before, now *sample) {
	if now != nil {
		p.Flow = &flow{rates: now.all(before), Over: now.at.Sub(before.at), Clock: now.clock}
	}
	for _, line := range p.Scopes {
		p.Unsaved += line.Backlog.Unsaved()
		p.Dead += line.Dead
		p.Lag = max(p.Lag, line.Lag)
		if now != nil {
			line.Rates, line.Consumer = now.of(line.Scope, before), now.scopes[line.Scope]
		}
	}
}

// newest returns the newest dead letters, newest first. The stream of them is read from
// its end on, in ever larger steps: some are dropped, and it may be large.
func (c *Console) newest(ctx context.Context) ([]letter, error) {
	var stream struct {
		State struct {
			First uint64 `json:"first_seq"`
			Last  uint64 `json:"last_seq"`
		} `json:"state"`
	}
	if err := c.api(ctx, "STREAM.INFO."+bus.StreamDead, &stream); err != nil {
		return nil, err
	}
	first, last := stream.State.First, stream.State.Last
	for span := uint64(2 * newestLetters); ; span *= 8 {
		from := first
		if last > first+span {
			from = last - span
		}
		kept, err := c.lettersFrom(ctx, from)
		if err != nil || len(kept) == newestLetters || from == first {
			slices.Reverse(kept)
			return read(kept), err
		}
	}
}

// lettersFrom returns the last dead letters from a sequence on, oldest first.
func (c *Console) lettersFrom(ctx context.Context, from uint64) (kept []events.DeadLetter, err error) {
	for next := from; ; {
		var page []events.DeadLetter
		if page, next, err = c.Stream.LettersFrom(ctx, next, 100); err != nil || next == 0 {
			return kept, err
		}
		kept = lastOf(append(kept, page...), newestLetters)
	}
}

// lastOf returns the last n, without what is before them.
func lastOf[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	return slices.Clone(all[len(all)-n:])
}

func read(letters []events.DeadLetter) []letter {
	out := make([]letter, len(letters))
	for i, l := range letters {
		out[i].DeadLetter = l
		if e, err := events.Decode(l.Body); err == nil {
			out[i].Said = say(&e)
		}
	}
	return out
}
