package gateway_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// The stream is cut off between commit and publish: answers say "hot", and
// cleanup finds and dispatches every change of every scope, once.
func TestCleanupDispatchesWhatNobodyPublished(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.stream.cut.Store(true)
	for char := 1; char <= 5; char++ {
		path := strconv.Itoa(char)
		if a := s.want(200, "PUT", path+"/vitals", harbor); a.Durability != "hot" {
			t.Errorf("durability %q while the stream is cut off", a.Durability)
		}
		s.want(200, "POST", path+"/inventory", `{"changes":[{"item_id":"potion","delta":3}]}`)
		s.want(201, "POST", path+"/contexts/scenario", `{"scenario_id":"old-road"}`)
		for range 2 {
			fight := s.want(201, "POST", path+"/contexts/combat", "").SessionID
			s.want(200, "POST", path+"/contexts/combat/finish", sessionBody(fight, `,"outcome":"victory","xp":10,"loot":[{"item_id":"sword","quantity":1}]`))
		}
	}
	s.stream.cut.Store(false)
	if n := len(s.published()); n != 0 {
		t.Fatalf("%d events were published", n)
	}

	// The marks are young: by default they get 15 s.
	if err := s.cleanup(0).Sweep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.published()); n != 0 {
		t.Errorf("%d events dispatched before the grace had passed", n)
	}
	s.sweep(time.Minute)
	s.wantEqual()
	published := len(s.published())
	// One for the vitals, each item, the scenario and each fight, but for swords
	// that the fight's event had saved before their turn came.
	if most := 5 * (1 + 2 + 1 + 2); published > most || published < most-5 {
		t.Errorf("%d events dispatched, want %d, or up to 5 fewer", published, most)
	}
	s.sweep(2 * time.Minute)
	if n := len(s.published()); n != published {
		t.Errorf("%d events dispatched again", n-published)
	}
	for char := 1; char <= 5; char++ {
		if view := s.look(char, "cold"); view.Progress.XP != 20 || len(view.Items) != 2 {
			t.Errorf("character %d: %+v", char, view)
		}
	}
	s.wantMirror(1)
}

// A change whose publish failed is not forgotten because a later change of the
// same scope was saved.
func TestLaterSaveDoesNotHideAnUnpublishedChange(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.stream.cut.Store(true)
	s.want(200, "POST", "3/inventory", `{"changes":[{"item_id":"potion","delta":1}]}`)
	s.stream.cut.Store(false)
	if a := s.want(200, "POST", "3/inventory?durability=cold", `{"changes":[{"item_id":"sword","delta":1}]}`); a.Durability != "cold" {
		t.Fatalf("durability %q", a.Durability)
	}
	// The row is there before its mark is gone.
	stacktest.Eventually(t, "a mark of the potion alone", func() bool {
		dirty := s.look(3, "hot").Dirty
		return len(dirty) == 1 && dirty[0].Row == "item:potion"
	})
	s.sweep(time.Minute)
	s.wantEqual()
}

// While the savers are behind, what is dirty is in the backlog: cleanup does
// not publish it a second time.
func TestCleanupLeavesTheBacklogAlone(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for char := 1; char <= 20; char++ {
		s.want(200, "PUT", strconv.Itoa(char)+"/vitals", harbor)
	}
	if err := s.cleanup(10*time.Second).Sweep(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n := len(s.published()); n != 20 {
		t.Errorf("%d events in the stream, want the 20 of the actions", n)
	}
	s.save()
	s.wantEqual()
}

// A PostgreSQL that answers and takes no writes leaves savers with all in hand that there
// is: cleanup publishes none of it a second time.
func TestCleanupLeavesAloneWhatIsInHandWhileNothingIsSaved(t *testing.T) {
	t.Parallel()
	const chars = 1100
	s := newSystem(t)
	s.save()
	tx, err := s.pool.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), "LOCK TABLE character_vitals IN SHARE MODE")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	for char := 1; char <= chars; char++ {
		s.want(200, "PUT", strconv.Itoa(char)+"/vitals", harbor)
	}
	stacktest.Eventually(t, "savers have all in hand", func() bool {
		backlog, err := s.bus.Backlog(t.Context(), events.ScopeVitals)
		return err == nil && backlog.InFlight == chars
	})
	const grace = time.Second
	time.Sleep(grace)
	if err := s.cleanup(grace).Sweep(t.Context(), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if n := len(s.published()); n != chars {
		t.Errorf("%d events in the stream, want the %d of the actions", n, chars)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantEqual()
}

// A row that somebody has locked keeps an event from being settled, for as long as it
// lasts: what was never published of others is not taken to wait behind it.
func TestLockedRowDoesNotStopTheSweep(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.want(200, "PUT", "1/vitals?durability=cold", harbor)
	tx, err := s.pool.Begin(t.Context())
	if err == nil {
		_, err = tx.Exec(t.Context(), "SELECT FROM character_vitals WHERE char_id = 1 FOR UPDATE")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	s.want(200, "PUT", "1/vitals", harbor) // it does not get through
	s.stream.cut.Store(true)
	s.want(200, "PUT", "2/vitals", harbor)
	s.stream.cut.Store(false)

	stacktest.Eventually(t, "what nobody published is saved", func() bool {
		s.sweep(time.Minute)
		return len(s.look(2, "hot").Dirty) == 0
	})
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.wantEqual()
}
