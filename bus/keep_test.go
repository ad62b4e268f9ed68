package bus_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// keep has the rig's bus keep the topology until the test ends.
func (r *rig) keep(topology bus.Topology) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.bus.Keep(ctx, topology)
	}()
	r.t.Cleanup(func() { cancel(); <-done })
}

// The client says of a server that is away that a buffer is full.
func TestServerThatIsAwayIsSaidToBeAway(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	stop(t, r.server)
	stacktest.Eventually(t, "the loss of the connection", func() bool { return !r.bus.Conn().IsConnected() })

	err := r.bus.Ensure(t.Context(), seldom)

	isUnavailable(t, err)
	equal(t, "what the error ends with", err != nil && strings.HasSuffix(err.Error(), "not connected"), true)
}

func TestDeletedMirrorComesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.keep(seldom)
	mirror := r.bus.Mirror()
	r.must(mirror.Put(t.Context(), 42, contexts(5)))

	r.must(r.js.DeleteKeyValue(t.Context(), bus.BucketMirror))

	stacktest.Eventually(t, "a put", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return mirror.Put(ctx, 42, contexts(6)) == nil
	})
}

// A new stream counts from 1 again: its events are not those that were buried.
func TestBuryTellsTheEventsOfANewStreamApart(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for range 2 {
		r.put("sync.vitals.42", "no event")
		r.must(r.bus.Bury(t.Context(), r.take(r.source(events.ScopeVitals), 1)[0], events.ScopeVitals, 42, "bad"))
		r.must(r.js.DeleteStream(t.Context(), bus.StreamChanges))
		r.must(r.bus.Ensure(t.Context(), seldom))
	}
	equal(t, "dead letters", r.stream(bus.StreamDead).State.Msgs, uint64(2))
}
