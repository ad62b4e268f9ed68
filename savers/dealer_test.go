package savers

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// sized is a message of some size.
type sized struct {
	jetstream.Msg
	body []byte
}

func (m sized) Data() []byte { return m.body }

// released is a message whose bytes can be let go of.
type released struct{ *sized }

func (m released) Release() bool {
	m.body = nil
	return true
}

// table is a dealer whose lanes are the test.
type table struct {
	*dealer
	t     *testing.T
	dealt events.Version // the last one
	saved map[events.Version]int
}

func newTable(t *testing.T, lanes, batchSize int) *table {
	w := &Worker{BatchSize: batchSize, Lanes: lanes, aside: new(aside)}
	return &table{dealer: newDealer(w, newHeartbeat(time.Hour)), t: t, saved: map[events.Version]int{}}
}

// next are the next events, one for each of the characters from 1 on.
func (t *table) next(count, bytes int) *batch {
	b := new(batch)
	for i := range count {
		t.dealt++
		b.events = append(b.events, events.StateChanged{CharID: events.CharID(i + 1), Version: t.dealt})
		b.msgs = append(b.msgs, sized{body: make([]byte, bytes)})
	}
	return b
}

// come deals the next events.
func (t *table) come(count, bytes, following int) {
	t.deal(t.next(count, bytes), following)
	t.handOut()
}

// ask lets a lane ask, and returns how many events it gets.
func (t *table) ask(lane int) int {
	t.t.Helper()
	t.asked[lane] = true
	t.handOut()
	return t.save(lane)
}

// save saves what a lane has got.
func (t *table) save(lane int) int {
	t.t.Helper()
	if len(t.lanes[lane]) == 0 {
		return 0
	}
	b := <-t.lanes[lane]
	if len(b.events) != len(b.msgs) {
		t.t.Fatalf("%d events with %d messages", len(b.events), len(b.msgs))
	}
	t.beat.drop(b)
	for _, e := range b.events {
		t.saved[e.Version]++
	}
	return len(b.events)
}

// end saves what is left, as when nothing more is fetched, and fails unless all
// is saved, once.
func (t *table) end() {
	t.t.Helper()
	t.patience = nil
	for range 3 {
		for lane := range t.lanes {
			t.ask(lane)
		}
	}
	for v := range t.dealt {
		if n := t.saved[v+1]; n != 1 {
			t.t.Fatalf("event %d of %d is saved %d times", v+1, t.dealt, n)
		}
	}
	if n := len(t.beat.batches); n != 0 {
		t.t.Errorf("%d batches are kept alive when all are saved", n)
	}
}

// What comes while a transaction is under way waits as one batch, up to the size
// of one, in events and in bytes. Then nothing more is taken.
func TestWhatWaitsInALaneBecomesOneBatch(t *testing.T) {
	for name, c := range map[string]struct{ size, bytes, want int }{
		"all":           {size: 100, bytes: 100, want: 60},
		"up to a batch": {size: 25, bytes: 100, want: 25},
		"up to memory":  {size: 100, bytes: batchBytes / keptWeight / 10, want: 10},
	} {
		d := newTable(t, 1, c.size)
		for d.dealt < 60 && !d.isFull() {
			d.come(3, c.bytes, 0)
		}
		if got := d.ask(0); got != c.want {
			t.Errorf("%s: a transaction saves %d events, want %d", name, got, c.want)
		}
		if d.isFull() {
			t.Errorf("%s: there is room, and nothing is taken", name)
		}
		d.end()
	}
}

// A message whose bytes were let go of counts half as much, and its event stays.
func TestReleasedMessagesLeaveRoomForMore(t *testing.T) {
	d := newTable(t, 1, 100)
	for !d.isFull() {
		b := d.next(1, batchBytes/20)
		b.msgs[0] = released{&sized{body: b.msgs[0].Data()}}
		d.deal(b, 0)
	}
	d.handOut()
	for _, waiting := range d.all() {
		for _, msg := range waiting.msgs {
			if n := len(msg.Data()); n > 0 {
				t.Fatalf("%d bytes of a decoded message are held", n)
			}
		}
	}
	if n := d.ask(0); n != 20 {
		t.Errorf("a transaction saves %d events, want the 20 that fit", n)
	}
	d.end()
}

// given is a message that tells what becomes of it.
type given struct {
	sized
	back *int
}

func (m given) NakWithDelay(time.Duration) error {
	*m.back++
	return nil
}

// ofCatchUp is one that the server does not wait for.
type ofCatchUp struct{ given }

func (m ofCatchUp) Release() bool { return true }

// apart is one that has a form to be held.
type apart struct{ given }

func (m apart) Detached() jetstream.Msg { return m.given }

// What is set aside waits for long: by itself, and not in a catch-up, which would settle
// nothing behind it.
func TestWhatIsSetAsideIsHeldByItself(t *testing.T) {
	d := newTable(t, 1, 100)
	d.w.aside.add(1, time.Second)
	var back int
	msg := given{sized{body: []byte("1")}, &back}
	for _, m := range []jetstream.Msg{ofCatchUp{msg}, apart{msg}} {
		b := d.next(2, 1)
		b.msgs[0] = m
		d.deal(b, 0)
	}

	if back != 1 {
		t.Errorf("%d events of a catch-up are given back, want 1", back)
	}
	waiting := d.waiting[d.w.asideLane()]
	if len(waiting) != 1 || len(waiting[0].msgs) != 1 {
		t.Fatalf("%d batches wait, want one with one event", len(waiting))
	}
	if _, ok := waiting[0].msgs[0].(given); !ok {
		t.Errorf("%T waits, want it detached", waiting[0].msgs[0])
	}
}

// As long as the next fetch will be full, no batch begins half full;
// where the rest of it does not come, or little waits, it begins at once.
func TestBatchOfABacklogIsFilled(t *testing.T) {
	d := newTable(t, 1, 100)
	if d.come(1, 1, 49); d.ask(0) != 1 {
		t.Error("what has less than a fetch behind it waits")
	}
	d.asked[0] = true
	for range 9 {
		d.come(11, 1, 50)
	}
	if n := d.save(0); n != 0 {
		t.Errorf("a batch begins with %d events of 100, and there are more", n)
	}
	if d.come(11, 1, 50); d.save(0) != 100 {
		t.Error("a full batch does not begin")
	}
	d.asked[0] = true
	if d.come(1, 1, 0); d.save(0) != 11 {
		t.Error("the end of a backlog does not begin at once")
	}
	d.asked[0] = true
	if d.come(3, 1, 50); d.save(0) != 0 {
		t.Error("a batch begins with 3 events of 100, and there are more")
	}
	if d.come(0, 1, 0); d.save(0) != 3 {
		t.Error("what others have taken the rest of does not begin at once")
	}
	d.end()
}

// A lane that asks is not kept waiting for a batch that cannot grow, because
// another lane has more than it can take.
func TestFullLaneHoldsUpNoOther(t *testing.T) {
	d := newTable(t, 2, 10)
	d.patience = time.After(fillWait)
	for lane, count := range []int{11, 3} {
		b := d.next(count, 1)
		for i := range b.events {
			d.put(lane, &b.events[i], b.msgs[i], 0)
		}
	}
	if n := d.ask(1); n != 3 {
		t.Errorf("the lane got %d events, want the 3 that wait", n)
	}
	if n := d.ask(0); n != 10 {
		t.Errorf("the full lane got %d events, want 10", n)
	}
	if n := d.ask(0); n != 0 {
		t.Errorf("%d events begin, though more may come", n)
	}
	d.end()
}

// Whatever comes and whichever lane asks, in any order.
func TestDealerLosesAndDoublesNothing(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		d := newTable(t, 1+r.IntN(4), 1+r.IntN(60))
		for range 200 {
			if lane := r.IntN(len(d.lanes)); d.isFull() || r.IntN(2) == 0 {
				if n := d.ask(lane); n > d.w.BatchSize {
					t.Fatalf("seed %d: %d events in one transaction, %d are allowed", seed, n, d.w.BatchSize)
				}
				continue
			}
			d.come(1+r.IntN(d.w.BatchSize), 1, r.IntN(2*d.w.BatchSize))
			for lane := range d.lanes {
				d.save(lane)
			}
		}
		d.end()
		if t.Failed() {
			t.Fatal("seed", seed)
		}
	}
}

// ticks saves what carries no state, so that any message will do.
type ticks struct{ Saver }

func (ticks) Scope() events.Scope { return "ticks" }

// Others may have taken the rest of a backlog, so a batch does not wait for it
// for ever.
func TestBatchThatNothingMoreComesForBegins(t *testing.T) {
	w := &Worker{Saver: ticks{}, BatchSize: 100, Lanes: 1, aside: new(aside)}
	d, fetched := newDealer(w, newHeartbeat(time.Hour)), make(chan *batch, 1)
	ctx, stop := context.WithCancel(t.Context())
	var dealing sync.WaitGroup
	dealing.Go(func() { d.run(ctx, fetched) })
	fetched <- &batch{msgs: []jetstream.Msg{followed{by: 1000}}}
	for b := range d.batches(0) {
		if len(b.msgs) != 1 || b.msgs[0] != (followed{by: 1000}) {
			t.Errorf("got %d messages, want the one", len(b.msgs))
		}
		break
	}
	stop()
	close(fetched)
	dealing.Wait()
}

// The fetching ends because ctx is done; the dealer may see either first.
func TestDealerEndsWithTheFetching(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for range 100 {
		d, fetched := newDealer(&Worker{Lanes: 2}, newHeartbeat(time.Hour)), make(chan *batch)
		close(fetched)
		d.run(ctx, fetched)
		for range d.batches(0) {
			t.Fatal("a batch came from nowhere")
		}
	}
}

// A fetch that brought nothing says that nothing more comes: the dealer hears of it.
func TestEmptyFetchIsHandedOver(t *testing.T) {
	next := make(chan *batch, 1)
	handOver(t.Context(), new(batch), next, newHeartbeat(time.Hour))
	if len(next) != 1 {
		t.Error("nobody is told")
	}
}
