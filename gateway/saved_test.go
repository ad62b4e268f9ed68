package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

func (s *system) saved(path string) (view gateway.SavedView) {
	s.t.Helper()
	r := s.do(0, http.MethodGet, path, "")
	if r.Status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, r.Status, r.Body)
	}
	r.into(s.t, &view)
	return view
}

// Each scope is saved up to what PostgreSQL has of its rows that are not saved; a
// caller can wait for a version of one scope while another is behind.
func TestSavedUpToFollowsTheSaversOfEachScope(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "PUT", "1/vitals", harbor)
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":1}]}`)
	last := s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"rope","delta":1}]}`)

	view := s.saved("1/saved")
	if view.Saved || view.Version != last.Version || view.UpTo["vitals"] != 0 ||
		view.UpTo["inventory"] != 0 || view.UpTo["combat"] != last.Version {
		t.Errorf("nothing is saved: %+v", view)
	}
	s.saveWith(savers.InventoryStateSaver{})
	view = s.saved(fmt.Sprintf("1/saved?version=%d&scope=inventory&wait=20s", last.Version))
	if !view.Saved || view.UpTo["inventory"] != last.Version || view.UpTo["vitals"] != 0 {
		t.Errorf("the inventory is saved: %+v", view)
	}
	if n := s.count("SELECT count(*) FROM items WHERE char_id = 1 AND quantity = 1"); n != 2 {
		t.Errorf("%d rows after the answer that they are saved", n)
	}
	if view = s.saved(fmt.Sprintf("1/saved?version=%d&wait=10ms", last.Version)); view.Saved {
		t.Errorf("the vitals are not saved: %+v", view)
	}
	s.saveWith(savers.VitalsStateSaver{})
	if view = s.saved(fmt.Sprintf("1/saved?version=%d", last.Version)); !view.Saved {
		t.Errorf("all is saved: %+v", view)
	}
}

// A later change of a row does not make anybody believe that the one before is saved:
// the row has one mark. What of it PostgreSQL has is told all the same, while
// PostgreSQL answers.
func TestLaterChangeDoesNotHideThatAnEarlierIsNotSaved(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	key, gem := uuid.NewString(), `{"changes":[{"item_id":"gem","delta":1}]}`
	first := s.want(200, "POST", "1/inventory", gem, "Idempotency-Key", key)
	s.want(200, "POST", "1/inventory", gem)
	upToFirst := fmt.Sprintf("1/saved?version=%d&scope=inventory&wait=", first.Version)
	for _, wait := range []string{"0s", "50ms"} {
		if view := s.saved(upToFirst + wait); view.Saved || view.UpTo["inventory"] != 0 {
			t.Errorf("nothing is saved: %+v", view)
		}
	}
	hasty := s.service()
	hasty.ColdTimeout = 50 * time.Millisecond
	s.gateways[0] = s.serve(hasty)
	if again := s.want(200, "POST", "1/inventory?durability=cold", gem, "Idempotency-Key", key); again.Durability != "stream" {
		t.Errorf("nothing is saved, and the repeat says %+v", again)
	}
	s.gateways[0] = s.serve(s.service())

	stop := s.save()
	if view := s.saved(upToFirst + "20s"); !view.Saved {
		t.Errorf("all is saved: %+v", view)
	}
	if again := s.want(200, "POST", "1/inventory?durability=cold", gem, "Idempotency-Key", key); again.Durability != "cold" {
		t.Errorf("all is saved, and the repeat says %+v", again)
	}
	s.wantEqual()
	had := s.look(1, "cold").Items[0].Version
	fight := s.want(201, "POST", "1/contexts/combat", "").SessionID
	s.want(200, "POST", "1/contexts/combat/finish?durability=cold", sessionBody(fight, `,"outcome":"victory","xp":7`))
	s.wantEqual()
	xp := s.look(1, "cold").Progress.Version
	stop()
	s.want(200, "POST", "1/inventory", gem)
	fight = s.want(201, "POST", "1/contexts/combat", "").SessionID
	s.want(200, "POST", "1/contexts/combat/finish", sessionBody(fight, `,"outcome":"victory","xp":7`))
	for _, wait := range []string{"0s", "20s"} {
		if view := s.saved(upToFirst + wait); !view.Saved || view.UpTo["inventory"] != had || view.UpTo["combat"] != xp {
			t.Errorf("saved up to %d and %d: %+v", had, xp, view)
		}
	}
	away := s.service()
	away.Cold = awayCold{away.Cold}
	s.gateways[0] = s.serve(away)
	if view := s.saved("1/saved"); view.Saved || view.UpTo["inventory"] != 0 || view.UpTo["vitals"] != view.Version {
		t.Errorf("PostgreSQL does not answer: %+v", view)
	}
}

// awayCold is PostgreSQL that cannot be asked what it has.
type awayCold struct{ gateway.Cold }

func (awayCold) Rows(context.Context, map[events.CharID]events.RowVersions) (map[events.CharID]events.RowVersions, error) {
	return nil, events.Unavailable(events.PostgreSQL, errors.New("cut off by the test"))
}

func (s *system) count(sql string) (n int64) {
	s.t.Helper()
	if err := s.pool.QueryRow(s.t.Context(), sql).Scan(&n); err != nil {
		s.t.Fatal(err)
	}
	return n
}

// A Redis that came back without marks does not make anybody believe that what
// it forgot is saved.
func TestSavedUpToOfAForgottenCharacterIsNotGuessed(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "PUT", "1/vitals", harbor)
	s.flush()
	if view := s.saved("1/saved"); view.Saved || view.UpTo[events.ScopeVitals] != 0 {
		t.Errorf("%+v", view)
	}
	if r := s.do(0, "GET", "2/saved", ""); r.Status != 404 {
		t.Errorf("a character that nobody knows: %d %s", r.Status, r.Body)
	}
	for query, field := range map[string]string{
		"version=x": "version", "version=0": "version", "scope=cleanup": "scope", "wait=-1s": "wait", "wait=x": "wait",
	} {
		r := s.do(0, "GET", "1/saved?"+query, "")
		var p gateway.Problem
		r.into(t, &p)
		if r.Status != 400 || len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: %d %s", query, r.Status, r.Body)
		}
	}
}

// Once a caller was told "cold", everything may be killed: the row is there.
func TestColdAnswerIsInPostgreSQL(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	for i := range 50 {
		a := s.want(200, "PUT", "1/vitals?durability=cold", edit(harbor, `"hp":80`, fmt.Sprintf(`"hp":%d`, i)))
		if n := s.count(fmt.Sprintf("SELECT count(*) FROM character_vitals WHERE char_id = 1 AND version >= %d", a.Version)); a.Durability != "cold" || n != 1 {
			t.Fatalf("answer %+v, %d rows", a, n)
		}
	}
}

// lookedFor notes for how many characters at most a look was. There is one at a time.
type lookedFor struct {
	gateway.Cold
	most atomic.Int64
}

func (l *lookedFor) Rows(ctx context.Context, wanted map[events.CharID]events.RowVersions) (map[events.CharID]events.RowVersions, error) {
	l.most.Store(max(l.most.Load(), int64(len(wanted))))
	return l.Cold.Rows(ctx, wanted)
}

// However many wait for their save, one look is for all of them.
func TestAllWhoWaitForTheirSaveAreLookedForTogether(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	service := s.service()
	looks := &lookedFor{Cold: service.Cold}
	service.Cold = looks
	const waiting = 20
	var group errgroup.Group
	for char := range events.CharID(waiting) {
		group.Go(func() error {
			durability := gateway.DurabilityCold
			if char%2 == 0 {
				durability = gateway.DurabilityStream
			}
			answer, err := service.SetVitals(t.Context(), char+1, events.Vitals{HP: 1, Location: events.Location{Zone: "harbor"}}, gateway.Options{Durability: durability})
			if err != nil || answer.Durability != durability {
				return fmt.Errorf("character %d: %v, %w", char+1, answer, err)
			}
			if char%2 == 0 { // half of them ask afterwards
				view, err := service.AwaitSaved(t.Context(), char+1, answer.Version)
				if err != nil || !view.Saved || view.UpTo[events.ScopeVitals] != answer.Version {
					return fmt.Errorf("character %d: %+v, %w", char+1, view, err)
				}
			}
			return nil
		})
	}
	stacktest.Eventually(t, "a look is for all who wait", func() bool { return looks.most.Load() == waiting })
	s.save()
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	service.Close() // comes back: nobody is looked for any more
}

// blindCold is PostgreSQL that tells nobody what it has.
type blindCold struct{ gateway.Cold }

func (blindCold) Rows(context.Context, map[events.CharID]events.RowVersions) (map[events.CharID]events.RowVersions, error) {
	return nil, nil
}

// Savers tell those who wait: nobody has to look. A change of several scopes is saved
// when all of them are.
func TestSaversTellWhoWaits(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	service := s.service()
	service.Cold, service.ColdTimeout = blindCold{service.Cold}, 20*time.Second
	s.gateways[0] = s.serve(service)
	s.want(200, "POST", "1/inventory", fiveGems)
	s.save()
	for range 20 {
		if a := s.want(200, "PUT", "1/vitals?durability=cold", harbor); a.Durability != "cold" {
			t.Fatalf("vitals: %+v", a)
		}
	}
	fight := s.want(201, "POST", "1/contexts/combat", "").SessionID
	a := s.want(200, "POST", "1/contexts/combat/finish?durability=cold", sessionBody(fight, `,"outcome":"victory","xp":7,"loot":[{"item_id":"gem","quantity":1}]`))
	if n := s.count("SELECT count(*) FROM combat_history"); a.Durability != "cold" || n != 1 {
		t.Errorf("fight: %+v, %d saved", a, n)
	}
	trade, err := service.Transfer(t.Context(), game.Trade{ID: uuid.New(), From: 1, To: 2, Items: []game.ItemDelta{{ItemID: "gem", Delta: 2}}}, gateway.Options{Durability: gateway.DurabilityCold})
	if err != nil || trade.Durability != "cold" {
		t.Errorf("trade: %+v, %v", trade, err)
	}
}

// Where nobody tells, as savers of an older build, who waits finds out by looking.
func TestWhoIsNotToldOfASaveFindsIt(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	service := s.service()
	service.Stream = untold{service.Stream}
	s.gateways[0] = s.serve(service)
	s.save()
	if a := s.want(200, "PUT", "1/vitals?durability=cold", harbor); a.Durability != "cold" {
		t.Errorf("%+v", a)
	}
}

// untold is the stream to savers that tell nothing.
type untold struct{ gateway.Stream }

func (u untold) Send(origin game.Origin, batch ...events.StateChanged) (func(context.Context) error, error) {
	origin.Saved = nil
	return u.Stream.Send(origin, batch...)
}

// Who waits too long is told how far the change has come, and is forgotten.
func TestWhoWaitsInVainForASaveIsForgotten(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	service := s.service()
	service.ColdTimeout = 20 * time.Millisecond
	answer, err := service.SetVitals(t.Context(), 1, events.Vitals{HP: 1, Location: events.Location{Zone: "harbor"}}, gateway.Options{Durability: gateway.DurabilityCold})
	if err != nil || answer.Durability != gateway.DurabilityStream {
		t.Errorf("%+v, %v", answer, err)
	}
	service.Close()
}
