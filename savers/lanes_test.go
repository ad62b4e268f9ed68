package savers

import (
	"cmp"
	"math"
	"math/rand/v2"
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
			msg := &struct{ jetstream.Msg }{}
			e := events.StateChanged{CharID: events.CharID(1 + r.IntN(40)), Version: events.Version(i + 1)}
			b.events, b.msgs = append(b.events, e), append(b.msgs, msg)
			origin[msg] = e.Version
		}
		in := make(map[events.CharID]int)
		for lane, part := range b.byLane(lanes) {
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
	w := &Worker{BatchSize: 160, Lanes: 2}
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
		transactions, total := 0, 0
		for _, part := range w.share(b) {
			total += len(part.msgs)
			if len(part.msgs) > 0 {
				transactions++
			}
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

func (m followed) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{NumPending: m.by}, nil
}

// What comes while a transaction is under way waits as one batch, up to the size
// of one, in events and in bytes; nothing is lost, and nothing comes twice.
func TestWhatWaitsInALaneBecomesOneBatch(t *testing.T) {
	for name, c := range map[string]struct{ size, bytes, want int }{
		"all":           {size: 100, bytes: 100, want: 60},
		"up to a batch": {size: 25, bytes: 100, want: 24},
		"up to memory":  {size: 100, bytes: batchBytes / 10, want: 9},
	} {
		w, lane, keeper := &Worker{BatchSize: c.size}, make(chan *batch, 1), newKeeper(time.Hour)
		var saved []events.Version
		take := func(b *batch) {
			keeper.drop(b)
			for _, e := range b.events {
				saved = append(saved, e.Version)
			}
		}
		first := 0
		for i := 1; i <= 60; i += 3 {
			b := new(batch)
			for v := i; v < i+3; v++ {
				b.events = append(b.events, events.StateChanged{Version: events.Version(v)})
				b.msgs = append(b.msgs, sized{body: make([]byte, c.bytes)})
			}
			next := w.joinWaiting(b, lane, keeper)
			if len(lane) > 0 { // it is full
				full := <-lane
				first = cmp.Or(first, len(full.events))
				take(full)
			}
			handOver(t.Context(), next, lane, keeper)
		}
		rest := <-lane
		take(rest)
		if got := cmp.Or(first, len(rest.events)); got != c.want {
			t.Errorf("%s: a transaction saves %d events, want %d", name, got, c.want)
		}
		if len(keeper.batches) != 0 {
			t.Errorf("%s: %d batches are kept alive when all are saved", name, len(keeper.batches))
		}
		for i, v := range saved {
			if v != events.Version(i+1) || len(saved) != 60 {
				t.Fatalf("%s: saved %v", name, saved)
			}
		}
	}
}

// sized is a message of some size.
type sized struct {
	jetstream.Msg
	body []byte
}

func (m sized) Data() []byte { return m.body }
