package game

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// A Round is progress in a fight. It lives in Redis only: what is kept for ever
// is the fight's result.
type Round struct {
	SessionID uuid.UUID
	Round     int32
	Data      json.RawMessage // nil keeps what is there
}

// A FightRecord is one line of a character's history.
type FightRecord struct {
	SessionID  uuid.UUID       `json:"session_id"`
	CharID     events.CharID   `json:"char_id"`
	Version    events.Version  `json:"version"`
	Outcome    string          `json:"outcome"`
	StartedAt  time.Time       `json:"started_at"`
	FinishedAt time.Time       `json:"finished_at"`
	Rounds     int32           `json:"rounds"`
	XPGained   int64           `json:"xp_gained"`
	Loot       json.RawMessage `json:"loot"`
}

// AdvanceCombat records progress of the open fight.
func AdvanceCombat(s *State, v events.Version, in Round) (*Change, error) {
	if err := mustBeOpen(s, ContextCombat, in.SessionID); err != nil {
		return nil, err
	}
	c := newChange(s, v, PartContexts, PartSessions)
	session := s.session(in.SessionID, ContextCombat, v)
	session.Round, session.Version = in.Round, v
	if in.Data != nil {
		session.Data = in.Data
	}
	c.Sessions = map[uuid.UUID]Session{in.SessionID: session}
	return c, nil
}

// A Result is how a fight ended.
type Result struct {
	Outcome string
	XP      int64 // gained
	Loot    []ItemDelta
}

// FinishCombat ends the open fight and grants what it won, once: the session is
// closed by the same commit.
func FinishCombat(s *State, v events.Version, session uuid.UUID, in Result) (*Change, error) {
	if err := mustBeOpen(s, ContextCombat, session); err != nil {
		return nil, err
	}
	c := newChange(s, v, PartContexts, PartSessions, PartProgress, PartItems)
	xp, ok := add(s.Progress.XP, in.XP)
	if !ok {
		return nil, &OverflowError{What: "xp"}
	}
	loot, err := c.applyItems(s, in.Loot)
	if err != nil {
		return nil, err
	}
	carried, err := fitting(s.carry(ItemIDs(in.Loot)...))
	if err != nil {
		return nil, err
	}
	c.endFight(s, session, events.Combat{
		Outcome: in.Outcome, XPGained: in.XP, XP: xp, Loot: loot, Transfers: carried,
	}, events.CauseExplicit)
	return c, nil
}

// endFight closes a fight. What its session knows of it is put into the result here.
func (c *Change) endFight(s *State, id uuid.UUID, fight events.Combat, cause events.Cause) {
	c.setContext(ContextCombat, uuid.Nil)
	c.result(s, id, fight, cause)
}

// result is the end of a fight. Its session stays, with the result, until a saver has it:
// it is the only copy should the event be lost.
func (c *Change) result(s *State, id uuid.UUID, fight events.Combat, cause events.Cause) {
	session := s.session(id, ContextCombat, c.Version)
	fight.StartedAt, fight.FinishedAt, fight.Rounds = session.OpenedAt.Time(), c.Version.Time(), session.Round
	result := events.New(s.Char, c.Version, cause, id, events.ScopeCombat, fight)
	session.Version, session.Result = c.Version, &result
	if c.Sessions == nil {
		c.Sessions = map[uuid.UUID]Session{}
	}
	c.Sessions[id] = session
	c.Progress = &Progress{fight.XP, c.Version}
	c.Events = append(c.Events, result)
}

// session is what is known of an open session. Its record may be lost while the
// map of contexts still names it (a Redis that came back older).
func (s *State) session(id uuid.UUID, context Context, v events.Version) Session {
	if session, ok := s.Sessions[id]; ok {
		return session
	}
	return Session{Context: context, OpenedAt: v, Version: v}
}
