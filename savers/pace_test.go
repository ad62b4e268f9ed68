package savers

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
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

// drain lets savers, each with a pace, drain for a while and returns how many
// events a second they took.
func (b *backlog) drain(savers int, length time.Duration) float64 {
	paces := make([]pace, savers)
	free := make([]time.Time, savers)
	for i := range paces {
		paces[i].behind, free[i] = 5000, b.now
	}
	began, handed := b.now, b.handed
	for b.now.Sub(began) < length {
		next := 0
		for i := range free {
			if free[i].Before(free[next]) {
				next = i
			}
		}
		b.pass(max(0, free[next].Sub(b.now)))
		last := b.fetch()
		free[next] = b.now.Add(paces[next].wait(last, b.now))
	}
	return float64(b.handed-handed) / b.now.Sub(began).Seconds()
}

func TestBacklogIsDrainedAtAPaceWhilePlayersPlay(t *testing.T) {
	for _, c := range []struct {
		name     string
		savers   int
		arrivals float64
		waiting  float64
		atLeast  float64
		atMost   float64
	}{
		{"nobody plays", 1, 0, 1e9, 240_000, 260_000},
		{"some play", 1, 3000, 1e9, 18_000, 26_000},
		{"some play, eight savers", 8, 3000, 1e9, 18_000, 28_000},
		{"many play", 1, 20_000, 1e9, 57_000, 68_000},
		{"nothing waits", 1, 3000, 0, 2900, 3100},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &backlog{now: time.Unix(1, 0), waiting: c.waiting, arrivals: c.arrivals, perFetch: 5000, fetchTime: 20 * time.Millisecond}
			if got := b.drain(c.savers, 20*time.Second); got < c.atLeast || got > c.atMost {
				t.Errorf("%.0f events a second, want %.0f to %.0f", got, c.atLeast, c.atMost)
			}
		})
	}
}

// Whatever a consumer says, that was made anew or hands out again, nobody waits
// for long.
func TestPaceOutlivesAnotherConsumer(t *testing.T) {
	p := pace{behind: 10}
	now := time.Unix(1, 0)
	for i, last := range []jetstream.MsgMetadata{
		{Sequence: jetstream.SequencePair{Consumer: 1 << 60}, NumPending: 1 << 40},
		{Sequence: jetstream.SequencePair{Consumer: 5}, NumPending: 1 << 62},
		{Sequence: jetstream.SequencePair{Consumer: 1 << 62}, NumPending: 100},
		{Sequence: jetstream.SequencePair{Consumer: 1 << 63}, NumPending: 1 << 50},
		{},
	} {
		now = now.Add(150 * time.Millisecond)
		if wait := p.wait(&last, now); wait < 0 || wait > longestWait {
			t.Errorf("step %d: waits %v", i, wait)
		}
	}
}
