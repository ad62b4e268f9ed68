package savers

import (
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
	arrivals  float64       // events a second
	perFetch  uint64        // events
	fetchTime time.Duration // what one fetch takes
}

// fetch hands out and returns what the last message says.
func (b *backlog) fetch() *jetstream.MsgMetadata {
	b.pass(b.fetchTime)
	n := min(b.perFetch, uint64(b.waiting))
	b.handed += n
	b.waiting -= float64(n)
	return &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Consumer: b.handed}, NumPending: uint64(b.waiting)}
}

func (b *backlog) pass(d time.Duration) {
	b.now = b.now.Add(d)
	b.waiting += b.arrivals * d.Seconds()
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
		next.free = c.now.Add(next.pace.wait(scopes[next.on], last, none, 5000, c.now))
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

func TestBacklogIsDrainedAtAPaceWhilePlayersPlay(t *testing.T) {
	for _, c := range []struct {
		name      string
		savers    int
		consumers []*backlog
		atLeast   float64
		atMost    float64
	}{
		{"nobody plays", 1, []*backlog{newBacklog(1e9, 0)}, 240_000, 260_000},
		{"some play", 1, []*backlog{newBacklog(1e9, 3000)}, 8_000, 12_000},
		{"few play", 1, []*backlog{newBacklog(1e9, 300)}, 4_500, 7_000},
		{"some play, eight savers", 8, []*backlog{newBacklog(1e9, 3000)}, 8_000, 18_000},
		{"many play", 1, []*backlog{newBacklog(1e9, 20_000)}, 54_000, 68_000},
		{"nothing waits", 1, []*backlog{newBacklog(0, 3000)}, 2900, 3100},
		{"one scope is played, another waits", 1, []*backlog{newBacklog(0, 3000), newBacklog(1e9, 0)}, 8_000, 14_000},
		{"one scope is played, three others wait", 1, []*backlog{newBacklog(0, 3000), newBacklog(1e9, 0), newBacklog(1e9, 0), newBacklog(1e9, 0)}, 8_000, 15_000},
		{"both scopes wait", 1, []*backlog{newBacklog(1e9, 3000), newBacklog(1e9, 0)}, 8_000, 14_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := drain(c.savers, 20*time.Second, c.consumers...); got < c.atLeast || got > c.atMost {
				t.Errorf("%.0f events a second, want %.0f to %.0f", got, c.atLeast, c.atMost)
			}
		})
	}
}

// none of the messages was handed out before.
func none() uint64 { return 0 }

// What is handed out again, because a saver has died or given it back, is no play:
// the backlog goes on at full speed.
func TestWhatComesAgainIsNoPlay(t *testing.T) {
	p, now := new(Pace), time.Unix(1, 0)
	const fetched = 250
	handed, waiting := uint64(0), uint64(1_000_000)
	for i := range 1000 {
		now = now.Add(time.Millisecond)
		again := uint64(0)
		if i%100 == 50 {
			again = fetched
		}
		handed, waiting = handed+fetched, waiting-fetched+again
		last := jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Consumer: handed}, NumPending: waiting}
		if wait := p.wait(events.ScopeVitals, &last, func() uint64 { return again }, 5000, now); wait > 0 {
			t.Fatalf("waits %v after %d fetches", wait, i+1)
		}
	}
}

// A catch-up reads through a consumer of its own: what that one has waiting was not
// published just now.
func TestAnotherConsumerIsNoPlay(t *testing.T) {
	p, now := new(Pace), time.Unix(1, 0)
	const fetched = 250
	last := jetstream.MsgMetadata{Consumer: "saver-vitals", NumPending: 1_000_000}
	for i := range 1000 {
		now = now.Add(time.Millisecond)
		last.Sequence.Consumer += fetched
		last.NumPending -= fetched
		if i == 500 {
			last.Consumer = "another"
			last.NumPending += 2000
		}
		if wait := p.wait(events.ScopeVitals, &last, none, 5000, now); wait > 0 {
			t.Fatalf("waits %v after %d fetches", wait, i+1)
		}
	}
}

// Whatever a consumer says, that was made anew or hands out again, nobody waits
// for long.
func TestPaceOutlivesAnotherConsumer(t *testing.T) {
	p := new(Pace)
	now := time.Unix(1, 0)
	for i, last := range []jetstream.MsgMetadata{
		{Sequence: jetstream.SequencePair{Consumer: 1 << 60}, NumPending: 1 << 40},
		{Sequence: jetstream.SequencePair{Consumer: 5}, NumPending: 1 << 62},
		{Sequence: jetstream.SequencePair{Consumer: 1 << 62}, NumPending: 100},
		{Sequence: jetstream.SequencePair{Consumer: 1 << 63}, NumPending: 1 << 50},
		{},
	} {
		now = now.Add(150 * time.Millisecond)
		if wait := p.wait(events.ScopeVitals, &last, none, 10, now); wait < 0 || wait > longestWait {
			t.Errorf("step %d: waits %v", i, wait)
		}
	}
}
