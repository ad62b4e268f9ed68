package intake_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// fetched is what one Fetch returned.
type fetched struct {
	msgs []jetstream.Msg
	err  error
}

// begin fetches in the background, and returns when the server knows that
// somebody waits: nothing is there to be fetched.
func (r *rig) begin(ctx context.Context, source *intake.Source, limit int) <-chan fetched {
	r.t.Helper()
	waiting := r.saver(events.ScopeVitals).NumWaiting
	done := make(chan fetched, 1)
	go func() {
		msgs, err := source.Fetch(ctx, limit)
		done <- fetched{msgs, err}
	}()
	stacktest.Eventually(r.t, "the fetch waits at the server", func() bool {
		return r.saver(events.ScopeVitals).NumWaiting > waiting
	})
	return done
}

func (r *rig) end(done <-chan fetched) []jetstream.Msg {
	r.t.Helper()
	select {
	case got := <-done:
		r.must(got.err)
		return got.msgs
	case <-time.After(patience):
		r.t.Fatal("never: the end of the fetch")
		return nil
	}
}

func TestFetchReturnsWhatWaits(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for i := range 3 {
		r.put("sync.vitals.42", fmt.Sprint(i))
	}
	r.put("sync.inventory.42", "another scope")

	r.await(3, 1)

	// It would wait for ever for a fourth.
	source := r.source(events.ScopeVitals)
	var all []uint64
	for len(all) < 3 {
		all = append(all, sequences(t, r.next(source, 100))...)
	}
	equal(t, "sequences", all, []uint64{1, 2, 3})
}

// However many the server has handed out ahead.
func TestFetchReturnsAtMostItsLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for range 40 {
		r.put("sync.vitals.42", "x")
	}
	r.await(40, 0)
	source := r.source(events.ScopeVitals)
	all := sequences(t, r.next(source, 20))
	stacktest.Eventually(t, "the server hands out ahead", func() bool {
		return r.saver(events.ScopeVitals).NumAckPending == 40
	})

	for limit := 1; len(all) < 40; limit++ {
		msgs := r.next(source, limit)
		if len(msgs) > limit {
			t.Errorf("%d messages, the limit is %d", len(msgs), limit)
		}
		all = append(all, sequences(t, msgs)...)
	}

	for i, sequence := range all {
		if sequence != uint64(i+1) {
			t.Fatalf("sequences %v", all)
		}
	}
}

func TestFetchBlocksUntilSomethingComes(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	done := r.begin(t.Context(), r.source(events.ScopeVitals), 100)
	r.put("sync.inventory.42", "another scope")
	select {
	case got := <-done:
		t.Fatalf("fetched %d messages (%v) before one was there", len(got.msgs), got.err)
	default:
	}

	r.put("sync.vitals.42", "first")

	msgs := r.end(done)
	if len(msgs) != 1 || string(msgs[0].Data()) != "first" {
		t.Errorf("fetched %d messages", len(msgs))
	}
	r.ack(msgs...)
	if left := r.saver(events.ScopeVitals).NumAckPending; left != 0 {
		t.Errorf("%d events are in flight after the ack", left)
	}
}

// When it is woken, more may wait than it was asked for.
func TestWokenFetchReturnsAtMostItsLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	source := r.source(events.ScopeVitals)
	for _, limit := range []int{1, 3} {
		done := r.begin(t.Context(), source, limit)
		r.publish(slices.Repeat([]events.StateChanged{r.vitals(42)}, 100)...)

		msgs := r.end(done)
		r.giveUp(source)
		if len(msgs) < 1 || len(msgs) > limit {
			t.Errorf("%d messages, the limit is %d", len(msgs), limit)
		}
		r.ack(msgs...)
		r.ack(r.take(source, 100-len(msgs))...)
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	source := r.source(events.ScopeVitals)

	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := r.begin(ctx, source, 100)
		cancel()
		if msgs := r.end(done); len(msgs) != 0 {
			t.Errorf("fetched %d messages of none", len(msgs))
		}
	})
	t.Run("deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		within(t, "the end of the fetch", func() {
			if msgs, err := source.Fetch(ctx, 100); len(msgs) != 0 || err != nil {
				t.Errorf("fetched %d messages, %v", len(msgs), err)
			}
		})
	})
}

// What a fetch that was given up asked for must not be handed out to nobody:
// it would wait for its AckWait while all savers are idle.
func TestGivenUpFetchTakesNothing(t *testing.T) {
	t.Parallel()
	topology := seldom
	topology.AckWait = time.Hour
	r := newRig(t, topology)
	source := r.source(events.ScopeVitals)
	other, err := connect(t, r.server.URL()).intake.Source(t.Context(), events.ScopeVitals)
	r.must(err)

	for range 10 {
		ctx, cancel := context.WithCancel(t.Context())
		done := r.begin(ctx, source, 100)
		cancel()
		r.end(done)
		stacktest.Eventually(t, "the server knows", func() bool { return r.saver(events.ScopeVitals).NumWaiting == 0 })

		sequence := r.put("sync.vitals.42", "x")

		r.await(1, 0)
		if n := r.saver(events.ScopeVitals).NumAckPending; n != 0 {
			t.Fatal("the event is in flight, and nobody has it")
		}
		msgs := r.fetch(other, 100)
		equal(t, "sequences", sequences(t, msgs), []uint64{sequence})
		r.ack(msgs...)
	}
}

// A saver ends in time, whether NATS is there or not.
func TestFetchIsGivenUpWithoutAServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for range 500 {
		r.put("sync.vitals.42", "x")
	}
	source := r.source(events.ScopeVitals)
	r.next(source, 100)
	stop(t, r.server)

	within(t, "the end of the fetch", func() { r.giveUp(source) })
}

// What the server has handed out ahead goes to others at once.
func TestGivenUpFetchGivesBackWhatIsAhead(t *testing.T) {
	t.Parallel()
	topology := seldom
	topology.AckWait = time.Hour
	r := newRig(t, topology)
	for range 500 {
		r.put("sync.vitals.42", "x")
	}
	r.await(500, 0)
	source := r.source(events.ScopeVitals)
	source.AckEach = true
	first, err := source.Fetch(t.Context(), 100)
	r.must(err)
	stacktest.Eventually(t, "the server hands out ahead", func() bool {
		return r.saver(events.ScopeVitals).NumAckPending > len(first)
	})

	r.giveUp(source)

	rest := r.take(r.source(events.ScopeVitals), 500-len(first))
	all := append(sequences(t, first), sequences(t, rest)...)
	slices.Sort(all)
	if len(slices.Compact(all)) != 500 {
		t.Errorf("%d of 500 events came", len(slices.Compact(all)))
	}
	r.ack(append(first, rest...)...)
}

// A saver that dies holds its events for AckWait; then another gets them.
func TestUnackedEventsComeBackToAnotherSource(t *testing.T) {
	t.Parallel()
	topology := seldom
	topology.AckWait = 300 * time.Millisecond
	r := newRig(t, topology)
	for i := range 4 {
		r.put("sync.vitals.42", fmt.Sprint(i))
	}
	dead := connect(t, r.server.URL())
	source, err := dead.intake.Source(t.Context(), events.ScopeVitals)
	r.must(err)
	msgs := r.take(source, 4)
	r.ack(msgs[1])
	dead.bus.Conn().Close()

	again := r.take(r.source(events.ScopeVitals), 3)

	got := sequences(t, again)
	slices.Sort(got)
	equal(t, "sequences", got, []uint64{1, 3, 4})
	for _, msg := range again {
		meta, err := msg.Metadata()
		r.must(err)
		if meta.NumDelivered < 2 {
			t.Errorf("event %d is delivered for the %d. time", meta.Sequence.Stream, meta.NumDelivered)
		}
	}
	r.ack(again...)
}

func TestGivenBackEventComesAgainAtOnce(t *testing.T) {
	t.Parallel()
	topology := seldom
	topology.AckWait = time.Hour
	r := newRig(t, topology)
	r.put("sync.vitals.42", "x")
	source := r.source(events.ScopeVitals)
	r.must(r.take(source, 1)[0].Nak())

	again := r.take(source, 1)

	if got := string(again[0].Data()); got != "x" {
		t.Errorf("got %q", got)
	}
	r.ack(again...)
}

// Two savers of a scope share its events: each event goes to one of them.
func TestSourcesShareTheEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	one, two := r.source(events.ScopeVitals), r.source(events.ScopeVitals)
	for range 20 {
		r.put("sync.vitals.42", "x")
	}

	var all []uint64
	for len(all) < 20 {
		for _, source := range []*intake.Source{one, two} {
			if len(all) < 20 {
				msgs := r.fetch(source, 3)
				all = append(all, sequences(t, msgs)...)
				r.ack(msgs...)
			}
		}
	}
	slices.Sort(all)
	if len(slices.Compact(all)) != 20 {
		t.Errorf("sequences %v", all)
	}
}

// A source outlives an outage, and what was stored before it.
func TestSourceGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	source := r.source(events.ScopeVitals)
	r.put("sync.vitals.42", "before")

	stop(t, r.server)
	stacktest.Eventually(t, "the connection is known to be broken", func() bool { return !r.bus.Conn().IsConnected() })
	_, err := source.Fetch(t.Context(), 10)
	isUnavailable(t, err)
	stacktest.RestartNATS(t, r.server.Config())

	stacktest.Eventually(t, "the event of before the outage", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		msgs, err := source.Fetch(ctx, 10)
		return err == nil && len(msgs) == 1 && string(msgs[0].Data()) == "before"
	})
}

// Events wait, and the server has no request of anybody: the source finds out and
// asks again.
func TestSourceAsksAgainWhereTheServerHasNoRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	source, err := r.intake.Source(t.Context(), events.ScopeVitals)
	r.must(err)
	empty, err := r.intake.Source(t.Context(), events.ScopeCombat)
	r.must(err)
	r.must(source.Deaf(empty.Consumer()))
	r.put("sync.vitals.42", "waits")

	msgs := r.next(source, 10)
	if len(msgs) != 1 || string(msgs[0].Data()) != "waits" {
		t.Errorf("%d messages", len(msgs))
	}
}

func TestSourceWithoutAConsumerIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	_, err := r.intake.Source(t.Context(), events.ScopeVitals)
	isUnavailable(t, err)
}

// The server's schedule is the sweeper's clock: exactly one saver sweeps at a
// tick.
func TestEachTickGoesToOneSource(t *testing.T) {
	t.Parallel()
	const ticks = 3
	r := newRig(t, bus.Topology{CleanupEvery: time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := make(chan jetstream.Msg)
	for range 2 {
		source, err := connect(t, r.server.URL()).intake.Source(ctx, events.ScopeCleanup)
		r.must(err)
		go func() {
			for ctx.Err() == nil {
				msgs, _ := source.Fetch(ctx, 10) // what it cannot fetch, the test misses
				for _, msg := range msgs {
					select {
					case got <- msg:
					case <-ctx.Done():
					}
				}
			}
		}()
	}

	seen := make(map[uint64]bool)
	for range ticks {
		select {
		case msg := <-got:
			if msg.Subject() != "sync.cleanup" {
				t.Errorf("subject %q", msg.Subject())
			}
			if seq := sequence(t, msg); seen[seq] {
				t.Errorf("tick %d came twice", seq)
			} else {
				seen[seq] = true
			}
			r.ack(msg)
		case <-ctx.Done():
			t.Fatal("no tick")
		}
	}
}

// A reading is given up only where nothing can come to it: what is on its way would
// be handed out, and worked on, twice.
func TestReadingIsGivenUpWhereNothingCanCome(t *testing.T) {
	const last = 100
	info := func(pending uint64, asking int, delivered uint64, paused bool) *jetstream.ConsumerInfo {
		return &jetstream.ConsumerInfo{
			NumPending: pending, NumWaiting: asking, Paused: paused,
			Delivered: jetstream.SequenceInfo{Consumer: delivered},
		}
	}
	for name, c := range map[string]struct {
		info    *jetstream.ConsumerInfo
		inDoubt bool
		giveUp  bool
		doubt   bool
	}{
		"nothing waits":                    {info(0, 0, last, false), true, false, false},
		"the server knows of the request":  {info(9, 1, last, false), true, false, false},
		"the consumer is paused":           {info(9, 0, last, true), true, false, false},
		"all that was handed out has come": {info(9, 0, last, false), false, true, true},
		"something is on its way":          {info(9, 0, last+1, false), false, false, true},
		"something would have come":        {info(9, 0, last+1, false), true, true, true},
		"the consumer was moved":           {info(9, 0, 3, false), false, false, true},
	} {
		giveUp, doubt := intake.UsedUp(c.info, last, c.inDoubt)
		if giveUp != c.giveUp || doubt != c.doubt {
			t.Errorf("%s: given up %v, in doubt %v; want %v, %v", name, giveUp, doubt, c.giveUp, c.doubt)
		}
	}
}

// A server may take larger messages than one request usually brings, and may have stored
// one before the stream had a limit.
func TestWhatIsBehindAHugeMessageComes(t *testing.T) {
	t.Parallel()
	const huge = 8<<20 - 100
	r := newRigOn(t, configured(t, "max_payload: 8MB"))
	r.must(r.bus.Ensure(t.Context(), seldom))
	r.unlimited()
	r.put("sync.vitals.1", strings.Repeat("x", huge))
	r.put("sync.vitals.2", "behind it")
	source := r.source(events.ScopeVitals)

	var all []uint64
	for len(all) < 2 {
		msgs := r.next(source, 100)
		all = append(all, sequences(t, msgs)...)
		r.ack(msgs...)
	}

	equal(t, "sequences", all, []uint64{1, 2})
}

func TestFetchWithoutAConnectionLeaksNothing(t *testing.T) {
	r := newRig(t, seldom)
	source := r.source(events.ScopeVitals)
	stop(t, r.server)
	stacktest.Eventually(t, "disconnected", func() bool { return !r.bus.Conn().IsConnected() })
	before := r.bus.Conn().NumSubscriptions()
	for range 20 {
		_, err := source.Fetch(t.Context(), 2500)
		isUnavailable(t, err)
	}
	if n := r.bus.Conn().NumSubscriptions(); n != before {
		t.Errorf("%d subscriptions, %d before", n, before)
	}
}
