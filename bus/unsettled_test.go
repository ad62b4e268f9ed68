package bus_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func (r *rig) wantSettled(last, settled uint64) {
	r.t.Helper()
	gotLast, got, err := r.bus.Settled(r.t.Context())
	r.must(err)
	if gotLast != last || got != settled {
		r.t.Fatalf("%d of %d are settled, want %d of %d", got, gotLast, settled, last)
	}
}

// Whatever was seen before, what is settled is what lies below the oldest event of
// any scope that is not.
func TestSettledIsBelowTheOldestThatIsNot(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Log("seed", seed)
	scopes := []events.Scope{events.ScopeVitals, events.ScopeInventory}
	left := map[events.Scope][]uint64{}
	last := uint64(0)
	for range 150 {
		scope := scopes[random.IntN(len(scopes))]
		switch waiting := left[scope]; {
		case random.IntN(2) == 0:
			e := r.vitals(events.CharID(1 + random.IntN(3)))
			if scope == events.ScopeInventory {
				e = r.items(events.CharID(1 + random.IntN(3)))
			}
			r.publish(e)
			last++
			left[scope] = append(waiting, last)
		case len(waiting) > 0:
			consumer, err := r.js.Consumer(t.Context(), "SYNC", "saver-"+string(scope))
			r.must(err)
			msg, err := consumer.Next(jetstream.FetchMaxWait(patience))
			r.must(err)
			r.ack(msg)
			left[scope] = waiting[1:]
		}
		settled := last
		for _, waiting := range left {
			if len(waiting) > 0 {
				settled = min(settled, waiting[0]-1)
			}
		}
		r.wantSettled(last, settled)
	}
}

// A server that lost its last moments counts on from before them: what was seen to be
// settled up to there was seen of other events.
func TestEndThatTheStreamHasLostIsNotSettled(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	store := filepath.Join(r.server.Config().StoreDir, "jetstream")
	earlier := filepath.Join(t.TempDir(), "earlier")
	restart := func(before func()) {
		t.Helper()
		stop(t, r.server)
		before()
		r.server = stacktest.RestartNATS(t, r.server.Config())
		stacktest.Eventually(t, "connections", func() bool { return r.nc.IsConnected() && r.bus.Conn().IsConnected() })
	}
	save := func(count int) {
		t.Helper()
		for range count {
			r.publish(r.vitals(42))
		}
		r.ack(r.take(r.source(events.ScopeVitals), count)...)
	}
	save(2)
	restart(func() { r.must(os.CopyFS(earlier, os.DirFS(store))) })
	save(3)
	r.wantSettled(5, 5)

	restart(func() {
		r.must(os.RemoveAll(store))
		r.must(os.CopyFS(store, os.DirFS(earlier)))
	})
	r.publish(r.items(42))
	save(3)
	r.wantSettled(6, 2)
}
