package game_test

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// full is a character with a row of each kind.
func full() *game.State {
	s := in(game.ContextScenario, trip)
	s.Vitals = &game.Vitals{Vitals: events.Vitals{HP: 80, Energy: 55, Location: events.Location{Zone: "harbor", X: 1.5, Y: -2}}, Version: 70}
	return s
}

func TestEqualCopiesHaveNoDifference(t *testing.T) {
	cold := full()
	cold.Parts, cold.Contexts, cold.Sessions = nil, game.Contexts{}, nil // PostgreSQL has none
	if got := game.Diff(full(), cold); len(got) > 0 {
		t.Errorf("differences %v", got)
	}
	if got := game.Diff(&game.State{}, &game.State{}); len(got) > 0 {
		t.Errorf("differences of nothing %v", got)
	}
}

// Whatever one field of one row is changed to, that row and no other is named.
func TestEachFieldOfARowIsCompared(t *testing.T) {
	scenario := func(edit func(*game.Scenario)) func(*game.State) {
		return func(s *game.State) {
			row := s.Scenarios["old-road"]
			edit(&row)
			s.Scenarios["old-road"] = row
		}
	}
	for row, edits := range map[events.RowKey][]func(*game.State){
		"vitals": {
			func(s *game.State) { s.Vitals.HP++ }, func(s *game.State) { s.Vitals.Energy++ }, func(s *game.State) { s.Vitals.Version++ },
			func(s *game.State) { s.Vitals.Location.Zone = "pier" }, func(s *game.State) { s.Vitals.Location.X += 1e-9 },
			func(s *game.State) { s.Vitals.Location.Y = 2 }, func(s *game.State) { s.Vitals = nil },
		},
		"progress": {
			func(s *game.State) { s.Progress.XP++ }, func(s *game.State) { s.Progress.Version++ }, func(s *game.State) { s.Progress = game.Progress{} },
		},
		"item:coin": {
			func(s *game.State) { s.Items["coin"] = game.Item{Quantity: 11, Version: 90} },
			func(s *game.State) { s.Items["coin"] = game.Item{Quantity: 10, Version: 91} },
			func(s *game.State) { delete(s.Items, "coin") },
		},
		"scenario:old-road": {
			scenario(func(p *game.Scenario) { p.Step++ }), scenario(func(p *game.Scenario) { p.Status = "paused" }),
			scenario(func(p *game.Scenario) { p.SessionID = other }), scenario(func(p *game.Scenario) { p.Version++ }),
			scenario(func(p *game.Scenario) { p.Data = json.RawMessage(`{"met":["Bo"]}`) }),
		},
	} {
		for i, edit := range edits {
			cold := full()
			edit(cold)
			for _, got := range [][]game.Difference{game.Diff(full(), cold), game.Diff(cold, full())} {
				if len(got) != 1 || got[0].Row != row || got[0].Hot == got[0].Cold || got[0].Char != 42 {
					t.Errorf("%s, edit %d: %v", row, i, got)
				}
			}
		}
	}
}

func TestDifferenceShowsBothCopies(t *testing.T) {
	hot, cold := full(), full()
	hot.Items["coin"] = game.Item{Quantity: 11, Version: 101}
	delete(cold.Scenarios, "old-road")
	got := game.Diff(hot, cold)
	wantDiff(t, "differences", []game.Difference{
		{Char: 42, Row: "item:coin", Hot: "quantity 11, version 101", Cold: "quantity 10, version 90"},
		{
			Char: 42, Row: "scenario:old-road", Cold: "absent",
			Hot: `step 3, active, session 0e3f6a52-3c7b-4f5e-9a64-2f1f0c9d7b11, data {"met":["Ana"]}, version 95`,
		},
	}, got)
	want := "character 42, item:coin:\n  - cold quantity 10, version 90\n  + hot  quantity 11, version 101"
	if got[0].String() != want {
		t.Errorf("%s\nwant\n%s", got[0], want)
	}
}

// A fight that waits for its saver is in the hot copy only; one that goes on is
// no row yet.
func TestUnsavedFightIsADifference(t *testing.T) {
	result := events.New(42, 101, events.CauseExplicit, fight, events.ScopeCombat, events.Combat{})
	hot := &game.State{Char: 42, Sessions: map[uuid.UUID]game.Session{fight: {Version: 101, Result: &result}, other: {Version: 100}}}
	want := []game.Difference{{Char: 42, Row: events.RowFight(fight), Hot: "fight that is not saved, version 101", Cold: "absent"}}
	wantDiff(t, "differences", want, game.Diff(hot, &game.State{Char: 42}))
}

// What the events of a life are joined to is what the life led to, row by row.
func TestJoinedEventsShowNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := play(t, 15)
		w.saved(t)
		w.joined.Sessions = nil
		if got := game.Diff(w.state, w.joined); len(got) > 0 {
			t.Fatalf("%v", got)
		}
	})
}
