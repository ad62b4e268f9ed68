package intake_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/intake"
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

// loseStorage restarts the server without anything that it had stored.
func (r *rig) loseStorage() {
	r.t.Helper()
	stop(r.t, r.server)
	r.must(os.RemoveAll(filepath.Join(r.server.Config().StoreDir, "jetstream")))
	stacktest.RestartNATS(r.t, r.server.Config())
	stacktest.Eventually(r.t, "a connection of our own", func() bool { return r.js.Conn().IsConnected() })
}

// Everybody goes on with what was opened before: nothing is restarted.
func TestEverythingGoesOnAfterTheStorageIsLost(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.keep(bus.Topology{CleanupEvery: time.Second})
	source, ticks, mirror := r.source(events.ScopeVitals), r.source(events.ScopeCleanup), r.bus.Mirror()
	r.publish(r.vitals(1), r.vitals(2))
	r.ack(r.take(source, 2)...)
	r.must(mirror.Put(t.Context(), 1, game.Contexts{Version: 5}))

	r.loseStorage()

	after := r.vitals(3)
	stacktest.Eventually(t, "a publish", func() bool { return r.bus.Publish(t.Context(), after) == nil })
	var msgs []jetstream.Msg
	stacktest.Eventually(t, "the source hands out", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		msgs, _ = source.Fetch(ctx, 1)
		return len(msgs) > 0
	})
	equal(t, "sequences that the source hands out", sequences(t, msgs), []uint64{1})
	// The tick comes last of the topology.
	stacktest.Eventually(t, "a tick", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tick, _ := ticks.Fetch(ctx, 1)
		return len(tick) > 0
	})
	tailOf, err := r.bus.Tails(t.Context())
	r.must(err)
	tail, err := tailOf(t.Context(), 3)
	r.must(err)
	equal(t, "tail before the ack", len(tail.Events), 1)
	r.ack(msgs...)
	shown, err := mirror.Get(t.Context(), 1)
	r.must(err)
	equal(t, "what the new mirror shows", shown.Version, events.Version(0))
	r.must(mirror.Put(t.Context(), 1, game.Contexts{Version: 4}))
}

func TestDeletedPartsComeBack(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*rig) error{
		"consumer": func(r *rig) error {
			return r.js.DeleteConsumer(t.Context(), bus.StreamChanges, bus.ConsumerName(events.ScopeVitals))
		},
		"stream": func(r *rig) error { return r.js.DeleteStream(t.Context(), bus.StreamChanges) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, seldom)
			r.keep(seldom)
			source := r.source(events.ScopeVitals)

			r.must(remove(r))

			e := r.vitals(42)
			stacktest.Eventually(t, "the event that is published", func() bool {
				if r.bus.Publish(t.Context(), e) != nil {
					return false
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				msgs, err := source.Fetch(ctx, 10)
				return err == nil && len(msgs) > 0
			})
		})
	}
}

// A server tells readers of a stream that is deleted before the stream's files are
// gone. One that is created in between would be left without files.
func TestStreamThatIsDeletedInUseTakesEventsAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.keep(seldom)
	var sources []*intake.Source
	for _, scope := range events.Scopes() {
		sources = append(sources, r.source(scope))
	}
	for round := range 3 {
		for i := range 200 {
			r.publish(r.vitals(events.CharID(1+i)), r.items(events.CharID(1+i)))
		}
		readers, stopReaders := context.WithCancel(t.Context())
		var reading sync.WaitGroup
		for _, source := range sources {
			reading.Go(func() {
				for readers.Err() == nil {
					_, _ = source.Fetch(readers, 1000)
				}
			})
		}

		r.must(r.js.DeleteStream(t.Context(), bus.StreamChanges))

		e := r.vitals(42)
		stacktest.Eventually(t, fmt.Sprintf("a publish in round %d", round), func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			return r.bus.Publish(ctx, e) == nil
		})
		stopReaders()
		reading.Wait()
	}
}
