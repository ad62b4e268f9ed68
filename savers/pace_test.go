package savers

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// backlog is a consumer that hands out as fast as it is asked.
type backlog struct {
	now       time.Time
	handed    uint64
	waiting   float64
	published float64
	arrivals  float64       // events a second
	perFetch  uint64        // events
	fetchTime time.Duration // what one fetch takes
	// ahead: so many are handed out at once, to be fetched later, with what the
	// consumer said by then.
	ahead, ready uint64
	said         float64
}

// fetch hands out and returns what the last message says.
func (b *backlog) fetch() *jetstream.MsgMetadata {
	b.pass(b.fetchTime)
	if b.ready == 0 {
		b.ready = min(max(b.ahead, b.perFetch), uint64(b.waiting))
		b.waiting -= float64(b.ready)
		b.said = b.waiting
	}
	n := min(b.perFetch, b.ready)
	b.handed += n
	b.ready -= n
	return &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Consumer: b.handed}, NumPending: uint64(b.said) + b.ready}
}

func (b *backlog) pass(d time.Duration) {
	b.now = b.now.Add(d)
	b.waiting += b.arrivals * d.Seconds()
	b.published += b.arrivals * d.Seconds()
}

// next is how long to wait after a message, when so many events were published by
// now: what slowDown does, on a clock of the test's own.
func (p *Pace) next(scope events.Scope, last *jetstream.MsgMetadata, published uint64, behind int, now time.Time) time.Duration {
	isBehind := last.NumPending > uint64(behind)
	if isBehind && p.begin(now) {
		p.count(published, now)
		p.counting = false
	}
	return p.wait(scope, last, isBehind, now)
}

// drain lets savers, each with a pace, drain consumers for a while. It returns how
// many events a second they took.
func drain(savers int, length time.Duration, consumers ...*backlog) float64 {
	scopes := []events.Scope{events.ScopeVitals, events.ScopeCombat, events.ScopeInventory, events.ScopeScenario}
	type worker struct {
		pace *Pace
		free time.Time
		on   int // which consumer
	}
	began := consumers[0].now
	var workers []*worker
	for range savers {
		pace := new(Pace)
		for on := range consumers {
			workers = append(workers, &worker{pace, began, on})
		}
	}
	handed := func() (n uint64) {
		for _, c := range consumers {
			n += c.handed
		}
		return n
	}
	before, now := handed(), began
	for now.Sub(began) < length {
		next := slices.MinFunc(workers, func(a, b *worker) int { return a.free.Compare(b.free) })
		now = later(now, next.free)
		for _, c := range consumers {
			c.pass(now.Sub(c.now))
		}
		c := consumers[next.on]
		last := c.fetch()
		published := 0.0
		for _, c := range consumers {
			published += c.published
		}
		next.free = c.now.Add(next.pace.next(scopes[next.on], last, uint64(published), 5000, c.now))
		now = later(now, c.now)
	}
	return float64(handed()-before) / now.Sub(began).Seconds()
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func newBacklog(waiting, arrivals float64) *backlog {
	return &backlog{now: time.Unix(1, 0), waiting: waiting, arrivals: arrivals, perFetch: 5000, fetchTime: 20 * time.Millisecond}
}

// inPieces is a backlog that is fetched as it comes over the network.
func inPieces(b *backlog) *backlog {
	b.perFetch, b.fetchTime = 250, time.Millisecond
	return b
}

// readAhead is a backlog of which much is handed out before it is fetched.
func readAhead(b *backlog) *backlog {
	b.ahead = 20_000
	return inPieces(b)
}

func TestBacklogIsDrainedAtAPaceWhilePlayersPlay(t *testing.T) {
	for _, c := range []struct {
		name      string
		savers    int
		consumers []*backlog
		atLeast   float64
		atMost    float64
	}{
		{"nobody plays", 1, []*backlog{newBacklog(1e9, 0)}, 240_000, 260_000},
		{"some play", 1, []*backlog{newBacklog(1e9, 3000)}, 5_500, 8_000},
		{"few play", 1, []*backlog{newBacklog(1e9, 300)}, 4_500, 7_000},
		{"some play, eight savers", 8, []*backlog{inPieces(newBacklog(1e9, 3000))}, 5_500, 8_000},
		{"some play, what is fetched was handed out long ago", 1, []*backlog{readAhead(newBacklog(1e9, 3000))}, 5_500, 8_000},
		{"many play", 1, []*backlog{newBacklog(1e9, 20_000)}, 38_000, 44_000},
		{"nothing waits", 1, []*backlog{newBacklog(0, 3000)}, 2900, 3100},
		{"one scope is played, another waits", 1, []*backlog{newBacklog(0, 3000), newBacklog(1e9, 0)}, 5_500, 11_000},
		{"one scope is played, three others wait", 1, []*backlog{newBacklog(0, 3000), newBacklog(1e9, 0), newBacklog(1e9, 0), newBacklog(1e9, 0)}, 5_500, 12_000},
		{"both scopes wait", 1, []*backlog{newBacklog(1e9, 3000), newBacklog(1e9, 0)}, 5_500, 11_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := drain(c.savers, 20*time.Second, c.consumers...); got < c.atLeast || got > c.atMost {
				t.Errorf("%.0f events a second, want %.0f to %.0f", got, c.atLeast, c.atMost)
			}
		})
	}
}

// What is handed out again, because a saver has died or given it back, is no play:
// the backlog goes on at full speed.
func TestWhatComesAgainIsNoPlay(t *testing.T) {
	p, now := new(Pace), time.Unix(1, 0)
	const fetched, published = 250, 5_000_000
	p.count(published, now.Add(-shortWindow))
	p.count(published, now)
	last := jetstream.MsgMetadata{NumPending: 1_000_000}
	for i := range 1000 {
		now = now.Add(time.Millisecond)
		last.Sequence.Consumer += fetched
		last.NumPending -= fetched
		if i%100 == 50 {
			last.NumPending += fetched
		}
		if wait := p.next(events.ScopeVitals, &last, published, 5000, now); wait > 0 {
			t.Fatalf("waits %v after %d fetches", wait, i+1)
		}
	}
}

// A catch-up reads through a consumer of its own, and a consumer may be moved: what
// it has handed out before is nobody's debt.
func TestAnotherConsumerOwesNothing(t *testing.T) {
	p, now := new(Pace), time.Unix(1, 0)
	last := jetstream.MsgMetadata{Consumer: "saver-vitals", NumPending: 1_000_000}
	published := uint64(0)
	step := func() time.Duration {
		now = now.Add(100 * time.Millisecond)
		published += 100 // 1,000 a second
		return p.next(events.ScopeVitals, &last, published, 5000, now)
	}
	step()
	step()
	for _, moved := range []func(){
		func() { last.Consumer, last.Sequence.Consumer = "another", 900_000 },
		func() { last.Sequence.Consumer = 20 },
	} {
		moved()
		if wait := step(); wait > 0 {
			t.Errorf("waits %v for what %s has handed out before", wait, last.Consumer)
		}
		last.Sequence.Consumer += 5000
		if wait := step(); wait < 500*time.Millisecond {
			t.Errorf("waits %v for 5,000 events: the test proves nothing", wait)
		}
		for range 20 {
			step()
		}
	}
}

// Whatever a consumer and a stream say, that were made anew or moved, nobody waits
// for long.
func TestPaceOutlivesWhatItIsTold(t *testing.T) {
	p := new(Pace)
	now := time.Unix(1, 0)
	for i, told := range []struct{ handed, waiting, published uint64 }{
		{1 << 60, 1 << 40, 1 << 50}, {5, 1 << 62, 7}, {1 << 62, 100, 1 << 60}, {1 << 63, 1 << 50, 1 << 61}, {0, 0, 0}, {1, 1 << 20, 1 << 20},
	} {
		now = now.Add(150 * time.Millisecond)
		last := jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Consumer: told.handed}, NumPending: told.waiting}
		if wait := p.next(events.ScopeVitals, &last, told.published, 10, now); wait < 0 || wait > longestWait {
			t.Errorf("step %d: waits %v", i, wait)
		}
	}
}

// A stream that does not answer neither holds up a saver for long, nor ends the pace.
func TestPaceGoesOnWithoutAnAnswer(t *testing.T) {
	p, now := new(Pace), time.Unix(1, 0)
	last := jetstream.MsgMetadata{NumPending: 1_000_000}
	for i := range 40 {
		now = now.Add(100 * time.Millisecond)
		last.Sequence.Consumer += 5000
		if i < 10 {
			p.next(events.ScopeVitals, &last, uint64(100*i), 5000, now)
			continue
		}
		if wait := p.wait(events.ScopeVitals, &last, true, now); wait < 500*time.Millisecond {
			t.Fatalf("step %d: waits %v", i, wait)
		}
	}
	failed := errors.New("no answer")
	asked := 0
	p.Published = func(ctx context.Context) (uint64, error) {
		asked++
		if _, limited := ctx.Deadline(); !limited {
			t.Error("the question has no deadline")
		}
		return 0, failed
	}
	p.learn(t.Context())
	p.learn(t.Context())
	if asked != 2 || p.arrivals < 900 {
		t.Errorf("asked %d times, %v arrivals a second", asked, p.arrivals)
	}
}

// Only two counts of one stream, soon after each other, tell what is played now.
func TestOneCountTellsNothing(t *testing.T) {
	for name, next := range map[string]struct {
		after     time.Duration
		published uint64
	}{
		"after a rest": {time.Hour, 10_000_000}, "of another stream": {time.Second, 3000},
	} {
		p, now := new(Pace), time.Unix(1, 0)
		p.count(5000, now)
		p.count(next.published, now.Add(next.after))
		if p.known {
			t.Errorf("%s: %v arrivals a second", name, p.arrivals)
		}
	}
}

// While one counts, the others go on with what is known: two counts at the same time
// would be one over no time at all.
func TestOneCountsAtATime(t *testing.T) {
	p, now := new(Pace), time.Unix(1, 0)
	if !p.begin(now) || p.begin(now) {
		t.Error("not exactly one counts")
	}
}

// Fresh events of one scope do not wait for the backlog of another.
func TestScopeThatIsNotBehindWaitsForNone(t *testing.T) {
	p, now := new(Pace), time.Unix(1, 0)
	p.count(0, now.Add(-time.Second))
	p.count(3000, now)
	behind, fresh := jetstream.MsgMetadata{NumPending: 1_000_000}, jetstream.MsgMetadata{NumPending: 10}
	p.wait(events.ScopeCombat, &behind, true, now)
	behind.Sequence.Consumer += 50_000
	if wait := p.wait(events.ScopeCombat, &behind, true, now); wait == 0 {
		t.Error("a backlog does not wait: the test proves nothing")
	}
	if wait := p.wait(events.ScopeVitals, &fresh, false, now); wait > 0 {
		t.Errorf("fresh events wait %v", wait)
	}
}

// Whoever meets a backlog does not know yet whether players play, and takes some of
// it before it does; then nothing holds it back, where nobody plays.
func TestBacklogIsMetWithCaution(t *testing.T) {
	p, now := new(Pace), time.Unix(1, 0)
	last := jetstream.MsgMetadata{NumPending: 1_000_000}
	cautious := time.Duration(0)
	for range 100 {
		now = now.Add(time.Millisecond)
		last.Sequence.Consumer += 250
		wait := p.next(events.ScopeVitals, &last, 7, 5000, now)
		now = now.Add(wait)
		cautious += wait
	}
	if cautious < shortWindow/2 || cautious > 2*shortWindow {
		t.Errorf("waited for %v in all, want about %v", cautious, shortWindow)
	}
}
