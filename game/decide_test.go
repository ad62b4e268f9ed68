package game_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

var (
	fight = uuid.MustParse("7b1c9d0e-55aa-4c1d-8e2f-90a1b2c3d4e5")
	trip  = uuid.MustParse("0e3f6a52-3c7b-4f5e-9a64-2f1f0c9d7b11")
	bag   = uuid.MustParse("c4a8b2d6-1e3f-4a5b-8c7d-6e5f4a3b2c1d")
	other = uuid.MustParse("11111111-1111-4111-8111-111111111111")
)

// in is a character with one session open, which was opened at version 100.
func in(context game.Context, session uuid.UUID) *game.State {
	return &game.State{
		Char: 42, Version: 100,
		Parts:    map[game.Part]events.Version{game.PartContexts: 100, game.PartItems: 90},
		Contexts: game.Contexts{Version: 100, Active: map[game.Context]uuid.UUID{context: session}},
		Progress: game.Progress{XP: 1200, Version: 80},
		Items:    map[string]game.Item{"coin": {Quantity: 10, Version: 90}, "potion": {Quantity: 5, Version: 90}},
		Scenarios: map[string]game.Scenario{
			"old-road": {Step: 3, Status: game.StatusActive, Data: json.RawMessage(`{"met":["Ana"]}`), SessionID: trip, Version: 95},
		},
		Sessions: map[uuid.UUID]game.Session{session: {
			Context: context, OpenedAt: 60, Version: 100, Round: 7, ScenarioID: map[game.Context]string{game.ContextScenario: "old-road"}[context],
		}},
	}
}

// decided is for decisions that must not be refused.
func decided(t *testing.T) func(*game.Change, error) *game.Change {
	return func(c *game.Change, err error) *game.Change {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
}

func wantDiff(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestVitalsExpectNothing(t *testing.T) {
	vitals := events.Vitals{HP: 80, Location: events.Location{Zone: "harbor"}}
	c := game.SetVitals(&game.State{Char: 42}, 101, vitals)
	want := &game.Change{
		Char: 42, Version: 101, Vitals: &game.Vitals{Vitals: vitals, Version: 101},
		Events: []events.StateChanged{events.New(42, 101, events.CauseAction, uuid.Nil, events.ScopeVitals, vitals)},
	}
	wantDiff(t, "change", want, c)
	wantDiff(t, "marks", []events.Row{{Key: "vitals", Version: 101}}, c.Marks())
}

func TestItemsChangeAllTogether(t *testing.T) {
	s := in(game.ContextInventory, bag)
	c := decided(t)(game.ChangeItems(s, 101, []game.ItemDelta{{ItemID: "potion", Delta: -5}, {ItemID: "sword", Delta: 1}}))
	changes := []events.ItemChange{{ItemID: "potion", Delta: -5, Quantity: 0}, {ItemID: "sword", Delta: 1, Quantity: 1}}
	want := &game.Change{
		Char: 42, Version: 101, Expect: map[game.Part]events.Version{game.PartItems: 90}, Active: s.Contexts.Active,
		Items:  map[string]game.Item{"potion": {Quantity: 0, Version: 101}, "sword": {Quantity: 1, Version: 101}},
		Events: []events.StateChanged{events.New(42, 101, events.CauseAction, uuid.Nil, events.ScopeInventory, events.Inventory{Items: changes})},
	}
	wantDiff(t, "change", want, c)
}

func TestRefusedItemIsNamed(t *testing.T) {
	s := in(game.ContextInventory, bag)
	s.Items["ledger"] = game.Item{Quantity: math.MaxInt64, Version: 90}
	for name, c := range map[string]struct {
		delta game.ItemDelta
		want  error
		text  string
	}{
		"more than there is": {game.ItemDelta{ItemID: "potion", Delta: -6},
			&game.InsufficientError{ItemID: "potion", Have: 5, Delta: -6}, `item "potion": has 5, cannot change by -6`},
		"of what there is none": {game.ItemDelta{ItemID: "sword", Delta: -1},
			&game.InsufficientError{ItemID: "sword", Delta: -1}, `item "sword": has 0, cannot change by -1`},
		"as much as can be asked": {game.ItemDelta{ItemID: "potion", Delta: math.MinInt64},
			&game.InsufficientError{ItemID: "potion", Have: 5, Delta: math.MinInt64}, `item "potion": has 5, cannot change by -9223372036854775808`},
		"more than can be had": {game.ItemDelta{ItemID: "ledger", Delta: 1},
			&game.OverflowError{What: "quantity of ledger"}, "quantity of ledger would exceed its largest value"},
	} {
		got, err := game.ChangeItems(s, 101, []game.ItemDelta{{ItemID: "coin", Delta: 1}, c.delta})
		wantRefusal(t, name, err, c.want, c.text)
		if got != nil {
			t.Errorf("%s: changes %+v all the same", name, got)
		}
	}
}

func wantRefusal(t *testing.T, name string, err, want error, text string) {
	t.Helper()
	wantDiff(t, name, want, err)
	if !errors.Is(err, game.ErrConflict) || err.Error() != text {
		t.Errorf("%s: %v, want a conflict that says %s", name, err, text)
	}
}

func TestAmountsReachTheirLargestValue(t *testing.T) {
	s := in(game.ContextCombat, fight)
	c := decided(t)(game.ChangeItems(s, 101, []game.ItemDelta{{ItemID: "coin", Delta: math.MaxInt64 - 10}}))
	if got := c.Items["coin"].Quantity; got != math.MaxInt64 {
		t.Errorf("%d coins", got)
	}
	c = decided(t)(game.FinishCombat(s, 101, fight, game.Result{Outcome: "victory", XP: math.MaxInt64 - 1200}))
	if c.Progress.XP != math.MaxInt64 {
		t.Errorf("xp %d", c.Progress.XP)
	}
	_, err := game.FinishCombat(s, 101, fight, game.Result{Outcome: "victory", XP: math.MaxInt64 - 1199})
	wantRefusal(t, "xp", err, &game.OverflowError{What: "xp"}, "xp would exceed its largest value")
}

func TestFightKeepsItsDataUntilThereIsOther(t *testing.T) {
	s := in(game.ContextCombat, fight)
	first := decided(t)(game.AdvanceCombat(s, 101, game.Round{SessionID: fight, Round: 8, Data: json.RawMessage(`{"foe":"wolf"}`)}))
	s = apply(s, first)
	second := decided(t)(game.AdvanceCombat(s, 102, game.Round{SessionID: fight, Round: 9}))
	want := game.Session{Context: game.ContextCombat, OpenedAt: 60, Version: 102, Round: 9, Data: json.RawMessage(`{"foe":"wolf"}`)}
	wantDiff(t, "session", want, second.Sessions[fight])
	if len(second.Events)+len(second.Marks()) > 0 {
		t.Errorf("a round is in Redis only, and this says %v and marks %v", second.Events, second.Marks())
	}
}

// One commit ends the fight and grants what it won. The session stays with the
// result, which is its only copy should the event be lost.
func TestFinishedFightGrantsItsRewardOnce(t *testing.T) {
	s := in(game.ContextCombat, fight)
	c := decided(t)(game.FinishCombat(s, 101, fight, game.Result{Outcome: "victory", XP: 120, Loot: []game.ItemDelta{{ItemID: "coin", Delta: 30}}}))
	result := events.New(42, 101, events.CauseExplicit, fight, events.ScopeCombat, events.Combat{
		Outcome: "victory", StartedAt: events.Version(60).Time(), FinishedAt: events.Version(101).Time(), Rounds: 7,
		XPGained: 120, XP: 1320, Loot: []events.ItemChange{{ItemID: "coin", Delta: 30, Quantity: 40}},
	})
	wantDiff(t, "change", &game.Change{
		Char: 42, Version: 101,
		Expect:   map[game.Part]events.Version{game.PartContexts: 100, game.PartSessions: 0, game.PartProgress: 0, game.PartItems: 90},
		Progress: &game.Progress{XP: 1320, Version: 101},
		Items:    map[string]game.Item{"coin": {Quantity: 40, Version: 101}},
		Contexts: map[game.Context]uuid.UUID{game.ContextCombat: uuid.Nil},
		Active:   map[game.Context]uuid.UUID{},
		Sessions: map[uuid.UUID]game.Session{fight: {Context: game.ContextCombat, OpenedAt: 60, Version: 101, Round: 7, Result: &result}},
		Events:   []events.StateChanged{result},
	}, c)
	_, err := game.FinishCombat(apply(s, c), 102, fight, game.Result{Outcome: "victory", XP: 120})
	wantRefusal(t, "again", err, &game.NotOpenError{Context: game.ContextCombat, SessionID: fight}, "combat session "+fight.String()+" is not open")
}

func TestFightWithLootThatDoesNotFitGoesOn(t *testing.T) {
	s := in(game.ContextCombat, fight)
	c, err := game.FinishCombat(s, 101, fight, game.Result{Outcome: "victory", XP: 1, Loot: []game.ItemDelta{{ItemID: "coin", Delta: math.MaxInt64}}})
	wantRefusal(t, "loot", err, &game.OverflowError{What: "quantity of coin"}, "quantity of coin would exceed its largest value")
	if c != nil {
		t.Errorf("changes %+v all the same", c)
	}
}

// Redis may come back without the record of a session that is open. Its fight
// can be finished all the same.
func TestFightWhoseRecordIsLostCanBeFinished(t *testing.T) {
	s := in(game.ContextCombat, fight)
	s.Sessions = nil
	c := decided(t)(game.FinishCombat(s, 101, fight, game.Result{Outcome: "victory", XP: 1}))
	got := c.Events[0].Data.(events.Combat)
	if got.XP != 1201 || got.Rounds != 0 || !got.StartedAt.Equal(events.Version(101).Time()) {
		t.Errorf("the fight ends as %+v", got)
	}
}

// A write to a session that is not the open one would be a write into the past.
func TestOtherSessionsAreNotOpen(t *testing.T) {
	for context, session := range map[game.Context]uuid.UUID{
		game.ContextCombat: fight, game.ContextInventory: bag, game.ContextScenario: trip,
	} {
		s := in(context, session)
		for _, asked := range []uuid.UUID{other, uuid.Nil} {
			want := &game.NotOpenError{Context: context, SessionID: asked, Open: session}
			text := fmt.Sprintf("%s session %s is not open: %s is", context, asked, session)
			for _, err := range writes(s, context, asked) {
				wantRefusal(t, string(context), err, want, text)
			}
		}
		for _, err := range writes(s, context, session) {
			if err != nil {
				t.Errorf("the open session: %v", err)
			}
		}
	}
}

// writes does all that a session of the context can do.
func writes(s *game.State, context game.Context, session uuid.UUID) []error {
	_, touched := game.Touch(s, 101, context, session)
	switch context {
	case game.ContextCombat:
		_, fought := game.AdvanceCombat(s, 101, game.Round{SessionID: session})
		_, finished := game.FinishCombat(s, 101, session, game.Result{Outcome: "victory"})
		return []error{touched, fought, finished}
	case game.ContextInventory:
		_, finished := game.FinishInventory(s, 101, session)
		return []error{touched, finished}
	}
	_, advanced := game.AdvanceScenario(s, 101, game.Step{SessionID: session})
	_, finished := game.FinishScenario(s, 101, session)
	return []error{touched, advanced, finished}
}

func TestScenarioKeepsItsDataUntilThereIsOther(t *testing.T) {
	s := in(game.ContextScenario, trip)
	kept := decided(t)(game.AdvanceScenario(s, 101, game.Step{SessionID: trip, Step: 4}))
	want := game.Scenario{Step: 4, Status: "active", Data: json.RawMessage(`{"met":["Ana"]}`), SessionID: trip, Version: 101}
	wantDiff(t, "without data", want, kept.Scenarios["old-road"])
	replaced := decided(t)(game.AdvanceScenario(s, 101, game.Step{SessionID: trip, Step: 4, Data: json.RawMessage(`{}`)}))
	want.Data = json.RawMessage(`{}`)
	wantDiff(t, "with data", want, replaced.Scenarios["old-road"])
	wantDiff(t, "event", []events.StateChanged{game.ScenarioEvent(42, "old-road", want, events.CauseAction)}, replaced.Events)
}

func TestFinishedScenarioIsCompletedAndLeavesNoSession(t *testing.T) {
	c := decided(t)(game.FinishScenario(in(game.ContextScenario, trip), 101, trip))
	done := game.Scenario{Step: 3, Status: "completed", Data: json.RawMessage(`{"met":["Ana"]}`), SessionID: trip, Version: 101}
	wantDiff(t, "change", &game.Change{
		Char: 42, Version: 101, Expect: map[game.Part]events.Version{game.PartContexts: 100, game.PartSessions: 0, game.PartScenarios: 0},
		Scenarios: map[string]game.Scenario{"old-road": done},
		Contexts:  map[game.Context]uuid.UUID{game.ContextScenario: uuid.Nil},
		Active:    map[game.Context]uuid.UUID{},
		Ended:     []uuid.UUID{trip},
		Events:    []events.StateChanged{game.ScenarioEvent(42, "old-road", done, events.CauseExplicit)},
	}, c)
}

// A sign of life says nothing and leaves no mark, and still only the open
// session can give one.
func TestTouchChangesNothing(t *testing.T) {
	s := in(game.ContextInventory, bag)
	c := decided(t)(game.Touch(s, 101, game.ContextInventory, bag))
	want := &game.Change{Char: 42, Version: 101, Expect: map[game.Part]events.Version{game.PartContexts: 100}, Active: s.Contexts.Active}
	wantDiff(t, "change", want, c)
}

func TestClosedBagHasNothingToSay(t *testing.T) {
	c := decided(t)(game.FinishInventory(in(game.ContextInventory, bag), 101, bag))
	wantDiff(t, "ended", []uuid.UUID{bag}, c.Ended)
	wantDiff(t, "marks", []events.Row{{Key: game.RowContexts, Version: 101}}, c.Marks())
	if len(c.Events) > 0 {
		t.Errorf("says %v", c.Events)
	}
}

func TestConflictsOfTheStoreSayWhatHappened(t *testing.T) {
	for err, want := range map[error]string{
		&game.MovedError{Version: 7}:           "character has moved on to version 7",
		&game.ReplayError{Record: "an answer"}: "the request was answered before",
		&game.InCombatError{SessionID: fight}:  "combat session " + fight.String() + " is active and is not pre-empted; add ?force=true to abandon it",
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err, want)
		}
	}
}
