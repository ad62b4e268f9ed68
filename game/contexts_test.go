package game_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// enter has the character enter a context at version 101.
func enter(t *testing.T, s *game.State, entry game.Entry) (*game.Change, []game.Preempted) {
	t.Helper()
	c, preempted, err := game.Enter(s, 101, entry)
	if err != nil {
		t.Fatal(err)
	}
	return c, preempted
}

func TestFirstContextPreemptsNothing(t *testing.T) {
	c, preempted := enter(t, &game.State{Char: 42}, game.Entry{Context: game.ContextCombat, SessionID: fight})
	if len(preempted) > 0 || preempted == nil || len(c.Events) > 0 {
		t.Errorf("preempted %#v, says %v: want an empty list and no event", preempted, c.Events)
	}
	wantDiff(t, "contexts", map[game.Context]uuid.UUID{game.ContextCombat: fight}, c.Contexts)
	wantDiff(t, "sessions", map[uuid.UUID]game.Session{fight: {Context: game.ContextCombat, OpenedAt: 101, Version: 101}}, c.Sessions)
}

func TestNewScenarioBeginsAtItsStart(t *testing.T) {
	c, _ := enter(t, &game.State{Char: 42}, game.Entry{Context: game.ContextScenario, SessionID: trip, ScenarioID: "crypt"})
	begun := game.Scenario{Status: "active", Data: json.RawMessage(`{}`), SessionID: trip, Version: 101}
	wantDiff(t, "scenario", map[string]game.Scenario{"crypt": begun}, c.Scenarios)
	wantDiff(t, "events", []events.StateChanged{game.ScenarioEvent(42, "crypt", begun, events.CauseAction)}, c.Events)
	if got := c.Sessions[trip].ScenarioID; got != "crypt" {
		t.Errorf("the session is of %q", got)
	}
}

// What was paused or abandoned goes on where it was left; what was completed
// begins again.
func TestScenarioIsResumedWhereItWasLeft(t *testing.T) {
	left := game.Scenario{Step: 3, Data: json.RawMessage(`{"met":["Ana"]}`), SessionID: other, Version: 50}
	for status, want := range map[string]game.Scenario{
		"paused":    {Step: 3, Status: "active", Data: left.Data, SessionID: trip, Version: 101},
		"abandoned": {Step: 3, Status: "active", Data: left.Data, SessionID: trip, Version: 101},
		"completed": {Step: 0, Status: "active", Data: json.RawMessage(`{}`), SessionID: trip, Version: 101},
	} {
		left.Status = status
		s := &game.State{Char: 42, Scenarios: map[string]game.Scenario{"old-road": left}}
		c, _ := enter(t, s, game.Entry{Context: game.ContextScenario, SessionID: trip, ScenarioID: "old-road"})
		wantDiff(t, status, want, c.Scenarios["old-road"])
	}
}

// The session of a request is made from its key: one that has ended begins again only
// where the request is repeated, long after everybody has forgotten it.
func TestScenarioIsNotBegunAgainByASessionThatHasEnded(t *testing.T) {
	for status, begins := range map[string]bool{"completed": false, "paused": false, "abandoned": false, "active": true} {
		left := game.Scenario{Step: 3, Status: status, Data: json.RawMessage(`{}`), SessionID: trip, Version: 50}
		s := &game.State{Char: 42, Scenarios: map[string]game.Scenario{"old-road": left}}
		c, _, err := game.Enter(s, 101, game.Entry{Context: game.ContextScenario, SessionID: trip, ScenarioID: "old-road"})
		if begins != (err == nil) || begins != (c != nil) || !begins && !errors.Is(err, game.ErrConflict) {
			t.Errorf("%s: %+v, %v", status, c, err)
		}
	}
}

func TestScenarioIsPausedByAnotherContext(t *testing.T) {
	c, preempted := enter(t, in(game.ContextScenario, trip), game.Entry{Context: game.ContextInventory, SessionID: bag})
	wantDiff(t, "preempted", []game.Preempted{{Context: game.ContextScenario, SessionID: trip}}, preempted)
	wantDiff(t, "contexts", map[game.Context]uuid.UUID{game.ContextScenario: uuid.Nil, game.ContextInventory: bag}, c.Contexts)
	paused := game.Scenario{Step: 3, Status: "paused", Data: json.RawMessage(`{"met":["Ana"]}`), SessionID: trip, Version: 101}
	wantDiff(t, "events", []events.StateChanged{game.ScenarioEvent(42, "old-road", paused, events.CausePreempted)}, c.Events)
	wantDiff(t, "ended", []uuid.UUID{trip}, c.Ended)
	if got := c.Sessions[bag].Version; got != 102 || c.Version != 102 {
		t.Errorf("what begins has version %d in a change to %d, want one above what ended", got, c.Version)
	}
}

// Left for itself, a scenario is paused and then active: two events of one row,
// so they must not have the same version.
func TestScenarioLeftForItselfHasTwoVersions(t *testing.T) {
	c, _ := enter(t, in(game.ContextScenario, trip), game.Entry{Context: game.ContextScenario, SessionID: other, ScenarioID: "old-road"})
	if len(c.Events) != 2 || c.Events[0].Version != 101 || c.Events[1].Version != 102 {
		t.Fatalf("says %+v, want versions 101 and 102", c.Events)
	}
	want := game.Scenario{Step: 3, Status: "active", Data: json.RawMessage(`{"met":["Ana"]}`), SessionID: other, Version: 102}
	wantDiff(t, "scenario", want, c.Scenarios["old-road"])
}

func TestFightIsPreemptedOnlyByForce(t *testing.T) {
	s := in(game.ContextCombat, fight)
	for _, context := range game.AllContexts {
		entry := game.Entry{Context: context, SessionID: other, ScenarioID: "crypt"}
		c, preempted, err := game.Enter(s, 101, entry)
		wantDiff(t, string(context), error(&game.InCombatError{SessionID: fight}), err)
		if c != nil || preempted != nil {
			t.Errorf("%s: entered all the same: %+v", context, c)
		}
		entry.Force = true
		_, preempted = enter(t, s, entry)
		wantDiff(t, string(context), []game.Preempted{{Context: game.ContextCombat, SessionID: fight}}, preempted)
	}
}

func TestForcedFightEndsAbandonedWithoutReward(t *testing.T) {
	c, _ := enter(t, in(game.ContextCombat, fight), game.Entry{Context: game.ContextInventory, SessionID: bag, Force: true})
	result := events.New(42, 101, events.CausePreempted, fight, events.ScopeCombat, events.Combat{
		Outcome: "abandoned", StartedAt: events.Version(60).Time(), FinishedAt: events.Version(101).Time(), Rounds: 7, XP: 1200,
	})
	wantDiff(t, "events", []events.StateChanged{result}, c.Events)
	wantDiff(t, "progress", &game.Progress{XP: 1200, Version: 101}, c.Progress)
	ended := game.Session{Context: game.ContextCombat, OpenedAt: 60, Version: 101, Round: 7, Result: &result}
	wantDiff(t, "the fight's session", ended, c.Sessions[fight])
	if c.Items != nil {
		t.Errorf("items %v", c.Items)
	}
}

// The sweeper ends the sessions of a character that was lost. Nobody acted, so
// it stays idle.
func TestLostCharacterLeavesItsSessionsAbandoned(t *testing.T) {
	c := game.Abandon(in(game.ContextScenario, trip), 101)
	abandoned := game.Scenario{Step: 3, Status: "abandoned", Data: json.RawMessage(`{"met":["Ana"]}`), SessionID: trip, Version: 101}
	wantDiff(t, "events", []events.StateChanged{game.ScenarioEvent(42, "old-road", abandoned, events.CauseCleanup)}, c.Events)
	if !c.Unseen || c.Version != 101 || c.Contexts[game.ContextScenario] != uuid.Nil {
		t.Errorf("change %+v", c)
	}
	c = game.Abandon(in(game.ContextCombat, fight), 101)
	if got := c.Events[0]; got.Cause != events.CauseCleanup || got.Data.(events.Combat).Outcome != "abandoned" {
		t.Errorf("the fight says %+v", got)
	}
	if c := game.Abandon(&game.State{Char: 42}, 101); c != nil {
		t.Errorf("nothing was open, and this changes %+v", c)
	}
}

// Redis may come back without the record of a session that is open. Which
// scenario it is of is known by the progress that it made.
func TestScenarioWhoseRecordIsLostIsKnownByItsProgress(t *testing.T) {
	s := in(game.ContextScenario, trip)
	s.Sessions = nil
	for i := range 20 { // others, which it must not be mistaken for
		s.Scenarios[fmt.Sprint("mill ", i)] = game.Scenario{Status: "paused", SessionID: trip, Version: 96}
		s.Scenarios[fmt.Sprint("crypt ", i)] = game.Scenario{Status: "active", SessionID: other, Version: 97}
	}
	advanced := decided(t)(game.AdvanceScenario(s, 101, game.Step{SessionID: trip, Step: 4}))
	finished := decided(t)(game.FinishScenario(s, 101, trip))
	left, _ := enter(t, s, game.Entry{Context: game.ContextInventory, SessionID: bag})
	for status, c := range map[string]*game.Change{"active": advanced, "completed": finished, "paused": left} {
		if len(c.Scenarios) != 1 || c.Scenarios["old-road"].Status != status || len(c.Events) != 1 {
			t.Errorf("writes %+v and says %v, want old-road %s", c.Scenarios, c.Events, status)
		}
	}
}

// Where nothing is known of it but that it is open, there is nothing to write
// progress to, and nothing to save at its end.
func TestScenarioOfWhichNothingIsKnownCanOnlyEnd(t *testing.T) {
	s := in(game.ContextScenario, trip)
	s.Sessions, s.Scenarios = nil, nil
	c, err := game.AdvanceScenario(s, 101, game.Step{SessionID: trip, Step: 4})
	wantRefusal(t, "advance", err, &game.NotOpenError{Context: game.ContextScenario, SessionID: trip}, "scenario session "+trip.String()+" is not open")
	if c != nil {
		t.Errorf("changes %+v all the same", c)
	}
	c = decided(t)(game.FinishScenario(s, 101, trip))
	if len(c.Events)+len(c.Scenarios) > 0 || c.Contexts[game.ContextScenario] != uuid.Nil {
		t.Errorf("ends with %+v", c)
	}
}

func TestNoSessionIsOpenUnderTheNilUUID(t *testing.T) {
	none := game.Contexts{}
	zero := game.Contexts{Active: map[game.Context]uuid.UUID{game.ContextCombat: uuid.Nil}}
	if none.Is(game.ContextCombat, uuid.Nil) || zero.Is(game.ContextCombat, uuid.Nil) {
		t.Error("the nil UUID passes for a session")
	}
}

// PostgreSQL wants data for each scenario, so one that has none gets an empty
// object.
func TestScenarioWithoutDataGetsAnEmptyObject(t *testing.T) {
	s := in(game.ContextScenario, trip)
	s.Scenarios = nil
	c := decided(t)(game.AdvanceScenario(s, 101, game.Step{SessionID: trip, Step: 1}))
	want := game.Scenario{Step: 1, Status: "active", Data: json.RawMessage(`{}`), SessionID: trip, Version: 101}
	wantDiff(t, "scenario", want, c.Scenarios["old-road"])
}
