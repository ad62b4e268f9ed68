package game_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
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

func TestEqualCopiesAreDescribedEqually(t *testing.T) {
	cold := full()
	cold.Parts, cold.Contexts, cold.Sessions = nil, game.Contexts{}, nil // PostgreSQL has none
	wantDiff(t, "rows", full().Describe(), cold.Describe())
	if got := (&game.State{}).Describe(); len(got) > 0 {
		t.Errorf("rows of nothing %v", got)
	}
}

// Whatever one field of one row is changed to, that row and no other is described
// differently.
func TestEachFieldOfARowIsDescribed(t *testing.T) {
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
			edited := full()
			edit(edited)
			before, after := full().Describe(), edited.Describe()
			if before[row] == after[row] {
				t.Errorf("%s, edit %d: %s as before", row, i, after[row])
			}
			delete(before, row)
			delete(after, row)
			wantDiff(t, fmt.Sprintf("%s, edit %d, other rows", row, i), before, after)
		}
	}
}

func TestDescriptionSaysEveryField(t *testing.T) {
	wantDiff(t, "rows", map[events.RowKey]string{
		"vitals":            `hp 80, energy 55, at "harbor" (1.5, -2), version 70`,
		"progress":          "xp 1200, version 80",
		"item:coin":         "quantity 10, version 90",
		"item:potion":       "quantity 5, version 90",
		"scenario:old-road": `step 3, active, session 0e3f6a52-3c7b-4f5e-9a64-2f1f0c9d7b11, data {"met":["Ana"]}, version 95`,
	}, full().Describe())
}

// A fight that waits for its saver is in the hot copy only; one that goes on is
// no row yet.
func TestUnsavedFightIsDescribed(t *testing.T) {
	result := events.New(42, 101, events.CauseExplicit, fight, events.ScopeCombat, events.Combat{})
	hot := &game.State{Char: 42, Sessions: map[uuid.UUID]game.Session{fight: {Version: 101, Result: &result}, other: {Version: 100}}}
	wantDiff(t, "rows", map[events.RowKey]string{events.RowFight(fight): "fight that is not saved, version 101"}, hot.Describe())
}

// What the events of a life are joined to is what the life led to, row by row.
func TestJoinedEventsAreDescribedAsTheLifeIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := play(t, 15)
		w.saved(t)
		w.joined.Sessions = nil
		if diff := cmp.Diff(w.state.Describe(), w.joined.Describe()); diff != "" {
			t.Fatal(diff)
		}
	})
}
