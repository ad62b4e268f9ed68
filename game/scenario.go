package game

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// A Step is progress in a scenario.
type Step struct {
	SessionID uuid.UUID
	Step      int32
	Data      json.RawMessage // nil keeps what is there
}

// AdvanceScenario records progress of the open scenario.
func AdvanceScenario(s *State, v events.Version, in Step) (*Change, error) {
	if err := mustBeOpen(s, ContextScenario, in.SessionID); err != nil {
		return nil, err
	}
	id := s.scenarioOf(in.SessionID)
	if id == "" {
		return nil, &NotOpenError{Context: ContextScenario, SessionID: in.SessionID}
	}
	c := newChange(s, v, PartContexts, PartScenarios)
	scenario := s.Scenarios[id]
	scenario.Step, scenario.Status, scenario.SessionID = in.Step, StatusActive, in.SessionID
	if in.Data != nil {
		scenario.Data = in.Data
	}
	c.setScenario(s, id, scenario, events.CauseAction)
	return c, nil
}

// FinishScenario completes the open scenario.
func FinishScenario(s *State, v events.Version, session uuid.UUID) (*Change, error) {
	if err := mustBeOpen(s, ContextScenario, session); err != nil {
		return nil, err
	}
	c := newChange(s, v, PartContexts, PartSessions, PartScenarios)
	c.endScenario(s, session, StatusCompleted, events.CauseExplicit)
	return c, nil
}

func (c *Change) endScenario(s *State, session uuid.UUID, status string, cause events.Cause) {
	c.close(ContextScenario, session)
	id := s.scenarioOf(session)
	if id == "" {
		return // nothing is known of it but that it was open
	}
	scenario := s.Scenarios[id]
	scenario.Status, scenario.SessionID = status, session
	c.setScenario(s, id, scenario, cause)
}

// scenarioOf names the scenario of an open session: by the session's record, or
// where that was lost with a Redis, by the progress that the session made.
func (s *State) scenarioOf(session uuid.UUID) string {
	if id := s.Sessions[session].ScenarioID; id != "" {
		return id
	}
	return s.activeIn(session)
}

// activeIn names the scenario that goes on in a session; "" where none does.
func (s *State) activeIn(session uuid.UUID) string {
	for id, scenario := range s.Scenarios {
		if scenario.SessionID == session && scenario.Status == StatusActive {
			return id
		}
	}
	return ""
}

// setScenario writes a scenario's progress and says so.
func (c *Change) setScenario(s *State, id string, scenario Scenario, cause events.Cause) {
	if scenario.Data == nil {
		scenario.Data = noData
	}
	scenario.Version = c.Version
	if c.Scenarios == nil {
		c.Scenarios = map[string]Scenario{}
	}
	c.Scenarios[id] = scenario
	c.Events = append(c.Events, ScenarioEvent(s.Char, id, scenario, cause))
}

// scenario is the progress as the change leaves it so far.
func (c *Change) scenario(s *State, id string) Scenario {
	if changed, ok := c.Scenarios[id]; ok {
		return changed
	}
	return s.Scenarios[id]
}

// ScenarioEvent says how far a scenario has come.
func ScenarioEvent(char events.CharID, id string, scenario Scenario, cause events.Cause) events.StateChanged {
	return events.New(char, scenario.Version, cause, scenario.SessionID, events.ScopeScenario, events.Scenario{
		ScenarioID: id, Step: scenario.Step, Status: scenario.Status, Data: scenario.Data,
	})
}
