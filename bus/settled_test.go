package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// The consumers' own counts follow the ack of a publish by some moments.
func TestTailHasWhatWasJustAcknowledged(t *testing.T) {
	r := newRig(t, seldom)
	missed := 0
	for range 300 {
		sent := r.publish(r.vitals(42))
		r.bus.SetAnswerMemory(time.Nanosecond) // and asks anew where the tail begins
		tail, err := r.bus.Tail(t.Context(), 42)
		r.must(err)
		if len(tail.Events) == 0 || tail.Events[len(tail.Events)-1].Version != sent[0].Version {
			missed++
		}
		r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	}
	if missed > 0 {
		t.Errorf("%d of 300 acknowledged, unsaved events were not in the tail", missed)
	}
}

func TestTrimKeepsWhatWasJustAcknowledged(t *testing.T) {
	r := newRig(t, seldom)
	lost := uint64(0)
	for range 300 {
		r.publish(r.vitals(42))
		dropped, err := r.bus.Trim(t.Context(), 0)
		r.must(err)
		lost += dropped
		if dropped == 0 {
			r.ack(r.take(r.source(events.ScopeVitals), 1)...)
		}
		if _, err := r.bus.Trim(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	if lost > 0 {
		t.Errorf("%d of 300 unsaved events were purged", lost)
	}
}

func TestPutAfterADeletion(t *testing.T) {
	r := newRig(t, seldom)
	mirror := r.bus.Mirror()
	r.must(mirror.Put(t.Context(), 42, contexts(5, game.ContextCombat)))
	r.must(r.bucket().Delete(t.Context(), "42"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	want := contexts(6)
	if err := mirror.Put(ctx, 42, want); err != nil {
		t.Fatal(err)
	}
	r.shows(mirror, 42, want)
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

func TestDropTwice(t *testing.T) {
	r := newRig(t, seldom)
	r.put("sync.vitals.42", "x")
	r.bury(42, "bad")
	for range 2 {
		r.must(r.bus.DropLetter(t.Context(), 1))
	}
}

// Without its consumer nobody can say what of a scope is settled.
func TestFloorNeedsEveryConsumer(t *testing.T) {
	r := newRig(t, seldom)
	r.publish(r.vitals(42))
	r.must(r.js.DeleteConsumer(t.Context(), bus.StreamChanges, "saver-vitals"))
	if _, err := r.bus.Tail(t.Context(), 42); err == nil {
		t.Error("the tail is known without the savers' consumer")
	}
	if n, err := r.bus.Trim(t.Context(), 0); err == nil || n != 0 {
		t.Errorf("%d events dropped, %v", n, err)
	}
}
