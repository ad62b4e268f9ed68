package game_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

func TestSnapshotOfNothingIsEmpty(t *testing.T) {
	for _, scope := range append(events.Scopes(), events.ScopeCleanup, "reputation") {
		if got := game.Snapshot(&game.State{Char: 42}, scope, events.CauseDispatch); len(got) > 0 {
			t.Errorf("%s: %v", scope, got)
		}
	}
}

// Each row is said at the version at which it was changed, so that a dispatch
// lands only where the saved state is older.
func TestSnapshotSaysEachRowAtItsOwnVersion(t *testing.T) {
	s := in(game.ContextScenario, trip)
	s.Vitals = &game.Vitals{Vitals: events.Vitals{HP: 80, Location: events.Location{Zone: "harbor"}}, Version: 70}
	s.Items["coin"] = game.Item{Quantity: 10, Version: 97}
	for scope, want := range map[events.Scope]events.StateChanged{
		events.ScopeVitals: events.New(42, 70, events.CauseDispatch, uuid.Nil, events.ScopeVitals, s.Vitals.Vitals),
		events.ScopeInventory: events.New(42, 97, events.CauseDispatch, uuid.Nil, events.ScopeInventory, events.Inventory{Items: []events.ItemChange{
			{ItemID: "coin", Quantity: 10, Version: 97}, {ItemID: "potion", Quantity: 5, Version: 90},
		}}),
		events.ScopeScenario: game.ScenarioEvent(42, "old-road", s.Scenarios["old-road"], events.CauseDispatch),
	} {
		wantDiff(t, string(scope), []events.StateChanged{want}, game.Snapshot(s, scope, events.CauseDispatch))
	}
	if got := game.Snapshot(s, events.ScopeCombat, events.CauseDispatch); len(got) > 0 {
		t.Errorf("no fight has ended, and this says %v", got)
	}
}

// A fight is said as it ended, for another cause; the session keeps the first.
func TestSnapshotSaysUnsavedFightsOldestFirst(t *testing.T) {
	s := &game.State{Char: 42, Sessions: map[uuid.UUID]game.Session{bag: {Context: game.ContextCombat}}}
	for i := range 9 {
		var session uuid.UUID
		session[0] = byte(9 - i)
		v := events.Version(100 + i)
		result := events.New(42, v, events.CauseExplicit, session, events.ScopeCombat, events.Combat{Outcome: "victory"})
		s.Sessions[session] = game.Session{Context: game.ContextCombat, Version: v, Result: &result}
	}
	got := game.Snapshot(s, events.ScopeCombat, events.CauseCleanup)
	if len(got) != 9 {
		t.Fatalf("%d fights, want 9", len(got))
	}
	for i, e := range got {
		kept := *s.Sessions[e.SessionID].Result
		if e.Version != events.Version(100+i) || e.Cause != events.CauseCleanup || e.ID != kept.ID || kept.Cause != events.CauseExplicit {
			t.Errorf("fight %d is said as %+v, and was %+v", i, e, kept)
		}
	}
}

// Scenarios come in one order, whatever the map's is.
func TestSnapshotSaysEachScenario(t *testing.T) {
	s := &game.State{Char: 42, Scenarios: map[string]game.Scenario{"mill": {Version: 3}, "crypt": {Version: 2}, "old-road": {Version: 1}}}
	var got []string
	for _, e := range game.Snapshot(s, events.ScopeScenario, events.CauseDispatch) {
		got = append(got, e.Data.(events.Scenario).ScenarioID)
	}
	wantDiff(t, "scenarios", []string{"crypt", "mill", "old-road"}, got)
}

// A bag of 1,200 items with the longest names and numbers there are takes six
// events, each far below the limit, and comes back whole.
func TestBigBagIsSaidInParts(t *testing.T) {
	s := &game.State{Char: math.MaxInt64, Items: map[string]game.Item{}}
	for i := range 1200 {
		name := fmt.Sprintf("%04d", i) + strings.Repeat(`"`, 124)
		s.Items[name] = game.Item{Quantity: math.MaxInt64, Version: events.Version(4e15 - i)}
	}
	said := game.Snapshot(s, events.ScopeInventory, events.CauseDispatch)
	if len(said) != 6 {
		t.Fatalf("%d events, want 6", len(said))
	}
	whole := &game.State{}
	for _, e := range said {
		body, err := events.Encode(&e)
		if err != nil || len(body) > events.MaxBytes/3 {
			t.Errorf("an event of %d bytes: %v", len(body), err)
		}
		game.Join(whole, game.FromEvent(&e))
	}
	if diff := cmp.Diff(s.Items, whole.Items); diff != "" {
		t.Error(diff)
	}
}

// What a life leads to can be said again whole, but for the experience: that
// comes with the fights that are not saved.
func TestSnapshotSaysTheWholeState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := play(t, 15)
		again := &game.State{Char: 42}
		for _, scope := range events.Scopes() {
			for _, e := range game.Snapshot(w.state, scope, events.CauseDispatch) {
				if _, err := events.Encode(&e); err != nil {
					t.Fatal(err)
				}
				game.Join(again, game.FromEvent(&e))
			}
		}
		want, got := saidRows(w.state), saidRows(again)
		if got.Progress.Version == 0 {
			want.Progress = game.Progress{}
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-state +said again)\n%s", diff)
		}
	})
}
