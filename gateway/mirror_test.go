package gateway_test

import (
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bus"
)

// A bucket that is lost with NATS's storage comes back empty: the sweeper shows
// the open contexts again, also those that nobody changes any more.
func TestSweepFillsANewMirror(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(201, "POST", "1/contexts/combat", `{}`)
	s.want(201, "POST", "2/contexts/scenario", `{"scenario_id":"road"}`)
	sweeper := s.cleanup(time.Hour)
	if err := sweeper.Sweep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}

	if err := s.js.DeleteKeyValue(t.Context(), bus.BucketMirror); err != nil {
		t.Fatal(err)
	}
	if err := s.bus.Ensure(t.Context(), bus.Topology{CleanupEvery: time.Hour}); err != nil {
		t.Fatal(err)
	}
	if err := sweeper.Sweep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}

	s.wantMirror(1)
	s.wantMirror(2)
}
