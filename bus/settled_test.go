package bus_test

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// Without its consumer nobody can say what of a scope is settled.
func TestFloorNeedsEveryConsumer(t *testing.T) {
	r := newRig(t, seldom)
	r.publish(r.vitals(42))
	r.must(r.js.DeleteConsumer(t.Context(), bus.StreamChanges, "saver-vitals"))
	if _, err := r.bus.Tail(t.Context(), 42); err == nil {
		t.Error("the tail is known without the savers' consumer")
	}
	if n, err := r.bus.TrimAbove(t.Context(), 0); err == nil || n != 0 {
		t.Errorf("%d events dropped, %v", n, err)
	}
}

// A newer build has a scope that this one does not know: its savers' unsettled
// events hold the floor, and no other consumer does.
func TestFloorCountsTheSaversOfEveryBuild(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	cfg := changes()
	cfg.Subjects = append(cfg.Subjects, "sync.reputation", "sync.reputation.*")
	_, err := r.js.CreateStream(t.Context(), cfg)
	r.must(err)
	r.must(r.bus.Ensure(t.Context(), seldom))
	consumer := func(name, filter string) jetstream.Consumer {
		c, err := r.js.CreateConsumer(t.Context(), bus.StreamChanges, jetstream.ConsumerConfig{
			Durable: name, FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy,
		})
		r.must(err)
		return c
	}
	newer := consumer("saver-reputation", "sync.reputation.*")
	consumer("audit", "sync.>")
	r.put("sync.reputation.42", "{}")
	sent := r.publish(r.vitals(42))
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	stacktest.Eventually(t, "the newer build has the event before it", func() bool {
		return r.consumer(bus.StreamChanges, "saver-reputation").NumPending == 1
	})

	r.tail(42, sent...)
	if dropped, err := r.bus.TrimAbove(t.Context(), 0); err != nil || dropped != 0 {
		t.Errorf("%d dropped (%v), and the other build has saved nothing", dropped, err)
	}

	msg, err := newer.Next(jetstream.FetchMaxWait(patience))
	r.must(err)
	r.ack(msg)
	r.tail(42)
	if dropped, err := r.bus.TrimAbove(t.Context(), 0); err != nil || dropped != 2 {
		t.Errorf("%d dropped (%v), want 2", dropped, err)
	}
}

// A stream that has dropped everything keeps nothing of the time before.
func TestEmptiedStreamKeepsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	e := r.vitals(42)
	r.publish(e)
	stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
	r.must(err)
	r.must(stream.Purge(t.Context()))
	if kept, err := r.bus.KeptSince(t.Context()); err != nil || kept <= e.Version {
		t.Errorf("all is kept since %v, %v", kept.Time(), err)
	}
}
