package game

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// An Entry asks to enter a context with a new session.
type Entry struct {
	Context    Context
	SessionID  uuid.UUID // of the new session, made by the caller; a repeat names the same
	ScenarioID string    // for a scenario
	Force      bool      // abandon a fight that is going on
}

// A Preempted session is one that a context switch ended.
type Preempted struct {
	Context   Context   `json:"context"`
	SessionID uuid.UUID `json:"session_id"`
}

var noData = json.RawMessage("{}")

// Enter switches the character to a context: every other open session is ended
// and its progress goes into the change's events, then the new one opens. A
// fight is not pre-empted unless the entry forces it. The change is nil where
// the session is the open one already, and refused where it has ended.
func Enter(s *State, v events.Version, in Entry) (*Change, []Preempted, error) {
	if s.Contexts.Is(in.Context, in.SessionID) {
		return nil, []Preempted{}, nil // a repeat: the answer of the first was lost with Redis
	}
	if was := s.Scenarios[in.ScenarioID]; was.SessionID == in.SessionID && was.Status != StatusActive {
		// A late repeat would begin a completed scenario anew.
		return nil, nil, &NotOpenError{Context: in.Context, SessionID: in.SessionID, Open: s.Contexts.Active[in.Context]}
	}
	if fight := s.Contexts.Active[ContextCombat]; fight != uuid.Nil && !in.Force {
		return nil, nil, &InCombatError{SessionID: fight}
	}
	c := newChange(s, v, PartContexts, PartSessions, PartScenarios, PartProgress)
	preempted := c.endAll(s, events.CausePreempted)
	if len(preempted) > 0 {
		// What ended and what begins are two versions: they may be of the same
		// row, when a scenario is left for itself.
		c.Version++
	}
	c.setContext(in.Context, in.SessionID)
	session := Session{Context: in.Context, OpenedAt: c.Version, Version: c.Version, ScenarioID: in.ScenarioID}
	if in.Context == ContextScenario {
		c.setScenario(s, in.ScenarioID, resume(c.scenario(s, in.ScenarioID), in.SessionID), events.CauseAction)
	}
	c.Sessions[in.SessionID] = session
	return c, preempted, nil
}

// resume continues a scenario where it was left, or begins it.
func resume(was Scenario, session uuid.UUID) Scenario {
	if was.Version == 0 || was.Status == StatusCompleted {
		return Scenario{Status: StatusActive, Data: noData, SessionID: session}
	}
	was.Status, was.SessionID = StatusActive, session
	return was
}

// Abandon ends every open session of a character that was lost. It returns nil
// where none is open.
func Abandon(s *State, v events.Version) *Change {
	if len(s.Contexts.Active) == 0 {
		return nil
	}
	c := newChange(s, v, PartContexts, PartSessions, PartScenarios, PartProgress)
	c.endAll(s, events.CauseCleanup)
	c.Unseen = true
	return c
}

// endAll ends the open sessions. The causes that end a session differ in what
// becomes of it: a pre-empted scenario can be resumed, a lost one was abandoned.
func (c *Change) endAll(s *State, cause events.Cause) []Preempted {
	c.Sessions = map[uuid.UUID]Session{}
	ended := []Preempted{}
	for _, context := range AllContexts {
		id := s.Contexts.Active[context]
		if id == uuid.Nil {
			continue
		}
		ended = append(ended, Preempted{context, id})
		switch context {
		case ContextCombat:
			c.endFight(s, id, events.Combat{Outcome: StatusAbandoned, XP: s.Progress.XP}, cause)
		case ContextScenario:
			c.endScenario(s, id, statusAfter(cause), cause)
		default:
			c.close(context, id)
		}
	}
	return ended
}

func statusAfter(cause events.Cause) string {
	if cause == events.CauseCleanup {
		return StatusAbandoned
	}
	return StatusPaused
}

// close ends a session that leaves nothing to save.
func (c *Change) close(context Context, id uuid.UUID) {
	c.setContext(context, uuid.Nil)
	c.Ended = append(c.Ended, id)
}

// FinishInventory closes the bag.
func FinishInventory(s *State, v events.Version, session uuid.UUID) (*Change, error) {
	if err := mustBeOpen(s, ContextInventory, session); err != nil {
		return nil, err
	}
	c := newChange(s, v, PartContexts, PartSessions)
	c.close(ContextInventory, session)
	return c, nil
}

// Touch is a sign of life from a session that has no state of its own.
func Touch(s *State, v events.Version, context Context, session uuid.UUID) (*Change, error) {
	if err := mustBeOpen(s, context, session); err != nil {
		return nil, err
	}
	return newChange(s, v, PartContexts), nil
}

func mustBeOpen(s *State, context Context, session uuid.UUID) error {
	if s.Contexts.Is(context, session) {
		return nil
	}
	return &NotOpenError{Context: context, SessionID: session, Open: s.Contexts.Active[context]}
}
