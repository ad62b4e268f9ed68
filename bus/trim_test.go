package bus_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestTrimKeepsWhatWasJustAcknowledged(t *testing.T) {
	r := newRig(t, seldom)
	lost := uint64(0)
	for range 300 {
		r.publish(r.vitals(42))
		dropped, err := r.bus.TrimAbove(t.Context(), 0)
		r.must(err)
		lost += dropped
		if dropped == 0 {
			r.ack(r.take(r.source(events.ScopeVitals), 1)...)
		}
		if _, err := r.bus.TrimAbove(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if lost > 0 {
		t.Errorf("%d of 300 unsaved events were purged", lost)
	}
}

func TestTrimDropsOnlyWhatIsSettled(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for range 5 {
		r.publish(r.vitals(42), r.items(42))
	}
	r.await(5, 5)
	r.trim(0, 0) // nothing is settled
	bag := r.take(r.source(events.ScopeInventory), 5)
	r.ack(bag...)
	vitals := r.take(r.source(events.ScopeVitals), 5)
	r.trim(0, 0)

	r.ack(vitals[0], vitals[1], vitals[3]) // the third, at sequence 5, is missing
	r.trim(0, 4)
	if first := r.stream("SYNC").State.FirstSeq; first != 5 {
		t.Errorf("the stream begins at %d, want 5: the floor is what is settled without a hole", first)
	}
	r.trim(0, 0)

	r.ack(vitals[2], vitals[4])
	r.trim(0, 6)
	if n := r.stream("SYNC").State.Msgs; n != 0 {
		t.Errorf("%d events are left", n)
	}
	r.trim(0, 0)
}

// trim fails where it does not drop exactly want.
func (r *rig) trim(share float64, want uint64) {
	r.t.Helper()
	left := r.stream("SYNC").State.Msgs - want
	dropped, err := r.bus.TrimAbove(r.t.Context(), share)
	r.must(err)
	if dropped != want {
		r.t.Errorf("%d events dropped, want %d", dropped, want)
	}
	if got := r.stream("SYNC").State.Msgs; got != left {
		r.t.Errorf("%d events are left, want %d", got, left)
	}
}

// settle publishes so many events and acknowledges them.
func (r *rig) settle(n int) {
	r.t.Helper()
	for range n {
		r.publish(r.vitals(42))
	}
	r.ack(r.take(r.source(events.ScopeVitals), n)...)
}

// What is saved is kept for replays as long as there is room, and what was saved last
// also then: joins read it.
func TestTrimKeepsAllWhileThereIsRoom(t *testing.T) {
	t.Parallel()
	topology := seldom
	topology.MaxBytes = 64 << 10
	r := newRig(t, topology)
	fill := func(share float64) {
		for float64(r.stream("SYNC").State.Bytes) < share*float64(topology.MaxBytes) {
			r.settle(10)
		}
	}

	fill(0.4)
	r.trim(0.6, 0)

	fill(0.6)
	last := r.stream("SYNC").State
	dropped, err := r.bus.Trim(t.Context())
	r.must(err)
	left := r.stream("SYNC").State
	if dropped == 0 || left.Msgs < last.Msgs/3 || left.LastSeq != last.LastSeq {
		t.Errorf("%d of %d dropped, want about the older half", dropped, last.Msgs)
	}
	r.trim(0.6, 0)
}

// A stream that was made without a limit is never full.
func TestTrimOfAStreamWithoutALimitDropsNothing(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	cfg := changes()
	cfg.MaxBytes = -1
	_, err := r.js.CreateStream(t.Context(), cfg)
	r.must(err)
	r.must(r.bus.Ensure(t.Context(), seldom))
	r.settle(1)

	r.trim(0, 0)
}

// replay is the consumer of a new replay of all.
func (r *rig) replay(name string) jetstream.Consumer {
	r.t.Helper()
	consumer, err := r.js.CreateConsumer(r.t.Context(), bus.StreamChanges, jetstream.ConsumerConfig{
		Durable: bus.ReplayConsumer(name, events.ScopeVitals), AckPolicy: jetstream.AckExplicitPolicy,
		FilterSubject: "sync.vitals.*",
	})
	r.must(err)
	return consumer
}

// What a replay has not come to may be in the stream alone: the database has lost it. One
// that was left long ago holds nobody up.
func TestTrimKeepsWhatAReplayHasNotComeTo(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.settle(5)
	replay := r.replay("slow")
	r.trim(0, 0)

	left := func(n uint64) {
		t.Helper()
		stacktest.Eventually(t, "the server knows what is replayed", func() bool {
			info, err := replay.Info(t.Context())
			return err == nil && info.NumPending+uint64(info.NumAckPending) == n
		})
	}
	r.ack(r.take(replay, 2)...)
	left(3)
	r.trim(0, 2)

	hand := r.take(replay, 1)
	r.trim(0, 0)
	r.ack(hand...)
	left(2)
	r.trim(0, 1)

	r.bus.SetReplayRest(0)
	r.trim(0, 2)
}

// Of a replay that was stopped or killed the server counts what it had in hand as handed
// out until somebody goes on with it.
func TestTrimDropsWhatAStoppedReplayHadInHand(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.settle(5)
	replay := r.replay("stopped")
	r.take(replay, 1)
	r.must(r.take(replay, 1)[0].Nak())
	r.trim(0, 0)

	r.bus.SetReplayRest(0)
	r.trim(0, 5)
}
