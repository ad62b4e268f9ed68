package savers

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// Splitting loses nothing, doubles nothing, keeps each message beside its event,
// and puts all of a character into one lane.
func TestLanesShareCharactersOut(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		b, lanes := new(batch), 1+r.IntN(5)
		origin := make(map[jetstream.Msg]events.Version)
		for i := range r.IntN(300) {
			msg := &sized{}
			e := events.StateChanged{CharID: events.CharID(1 + r.IntN(40)), Version: events.Version(i + 1)}
			b.events, b.msgs = append(b.events, e), append(b.msgs, msg)
			origin[msg] = e.Version
		}
		in := make(map[events.CharID]int)
		d := newDealer(&Worker{BatchSize: 1 + r.IntN(60), Lanes: lanes, aside: new(aside)}, newHeartbeat(time.Hour))
		d.deal(b, math.MaxInt32)
		for lane, part := range d.all() {
			if len(part.events) != len(part.msgs) {
				t.Fatalf("%d events with %d messages", len(part.events), len(part.msgs))
			}
			for i, e := range part.events {
				if origin[part.msgs[i]] != e.Version {
					t.Fatalf("version %d has the message of %d, or came twice", e.Version, origin[part.msgs[i]])
				}
				delete(origin, part.msgs[i])
				if before, ok := in[e.CharID]; ok && before != lane {
					t.Fatalf("character %d in lanes %d and %d", e.CharID, before, lane)
				}
				in[e.CharID] = lane
			}
		}
		if len(origin) != 0 {
			t.Fatalf("%d messages are lost", len(origin))
		}
	}
}

// Neighbouring ids, and ids with a common step, are spread evenly.
func TestLanesAreEven(t *testing.T) {
	for _, lanes := range []int{2, 3, 4, 8} {
		for _, step := range []int{1, 2, 8, 10, 1024} {
			counts := make([]int, lanes)
			const n = 10_000
			for i := 1; i <= n; i++ {
				counts[laneOf(events.CharID(i*step), lanes)]++
			}
			for lane, count := range counts {
				if even := n / lanes; count < even*3/4 || count > even*5/4 {
					t.Errorf("%d lanes, ids in steps of %d: lane %d has %d of %d", lanes, step, lane, count, n)
				}
			}
		}
	}
}

// A second transaction for a handful of events would cost more than they do, unless
// they are a piece of many.
func TestFewEventsAreOneTransaction(t *testing.T) {
	w := &Worker{BatchSize: 320, Lanes: 2, aside: new(aside)}
	for _, c := range []struct {
		events    int
		following uint64
		want      int
	}{
		{events: 1, want: 1},
		{events: 9, want: 1},
		{events: 10, want: 2},
		{events: 160, want: 2},
		{events: 8, following: 1, want: 1},
		{events: 9, following: 1, want: 2},
		{events: 9, following: math.MaxUint64, want: 2},
	} {
		b := new(batch)
		for i := range c.events {
			b.events = append(b.events, events.StateChanged{CharID: events.CharID(i + 1)})
			b.msgs = append(b.msgs, followed{by: c.following})
		}
		d := newDealer(w, newHeartbeat(time.Hour))
		d.deal(b, b.following())
		transactions, total := 0, 0
		for _, part := range d.all() {
			total += len(part.msgs)
			transactions++
		}
		if transactions != c.want || total != c.events {
			t.Errorf("%d events before %d: %d of them in %d transactions, want all in %d", c.events, c.following, total, transactions, c.want)
		}
	}
}

// followed is a message that others were waiting behind.
type followed struct {
	jetstream.Msg
	by uint64
}

func (m followed) Data() []byte { return nil }

func (m followed) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{NumPending: m.by}, nil
}

// A batch is cut between two characters as long as it has two, so that what one of them
// is stuck on is found by dividing, however many events it has. Nothing is lost, and each
// message stays with its event.
func TestSplitCutsBetweenCharactersAndLosesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		whole, chars := new(batch), 1+r.IntN(6)
		origin := make(map[jetstream.Msg]events.Version)
		for i := range 2 + r.IntN(100) {
			msg := &sized{}
			whole.add(&events.StateChanged{CharID: events.CharID(r.IntN(chars)), Version: events.Version(i + 1)}, msg, 1)
			origin[msg] = events.Version(i + 1)
		}
		one, before := whole.ofOne(), slices.Clone(whole.msgs)
		left, right := whole.split()
		if !slices.Equal(whole.msgs, before) {
			t.Fatal("the whole is another one")
		}
		in := make(map[events.CharID]bool)
		for _, e := range left.events {
			in[e.CharID] = true
		}
		for _, e := range right.events {
			if in[e.CharID] && !one {
				t.Fatalf("character %d of %d is in both halves", e.CharID, chars)
			}
		}
		if len(left.events) == 0 || len(right.events) == 0 {
			t.Fatalf("halves of %d and %d events", len(left.events), len(right.events))
		}
		for _, part := range []*batch{left, right} {
			for i, e := range part.events {
				if origin[part.msgs[i]] != e.Version {
					t.Fatalf("version %d has the message of %d, or came twice", e.Version, origin[part.msgs[i]])
				}
				delete(origin, part.msgs[i])
			}
		}
		if len(origin) != 0 {
			t.Fatalf("%d messages are lost", len(origin))
		}
	}
}
