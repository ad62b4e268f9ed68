// Package game decides. Its functions are pure: from a character's state and a
// request they make a Change or a domain error, without I/O, clock or
// randomness. hot loads the state and commits the change.
package game

import (
	"encoding/json"
	"maps"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// State is a character's state, or the parts of it that were loaded.
type State struct {
	Char    events.CharID
	Version events.Version // of the newest change to any part; 0 for an unknown character
	// Copy names the hot copy that the state was read from: another one when the
	// copies of the character were joined since. "" where that is not known.
	Copy string
	// Parts holds the version of the newest change to each part. A commit may
	// expect them to be unchanged.
	Parts map[Part]events.Version

	Contexts  Contexts
	Vitals    *Vitals // nil where unknown
	Progress  Progress
	Items     map[string]Item
	Scenarios map[string]Scenario
	Sessions  map[uuid.UUID]Session // open sessions, and ended fights that are not saved yet
	// Transfers are the trades that are not saved yet: those of the character
	// itself, and those that the items it got by them come from.
	Transfers map[uuid.UUID]events.Transfer
	Dirty     events.RowVersions
}

// A Part is what a decision may depend on and a commit may expect.
type Part string

// The parts of a character.
const (
	PartContexts  Part = "contexts"
	PartVitals    Part = "vitals"
	PartProgress  Part = "progress"
	PartItems     Part = "items"
	PartScenarios Part = "scenarios"
	PartSessions  Part = "sessions"
)

// Parts lists all parts.
var Parts = []Part{PartContexts, PartVitals, PartProgress, PartItems, PartScenarios, PartSessions}

// RowContexts is the mark of a change of contexts that the mirror does not have
// yet. It is the one mark that no saver clears.
const RowContexts events.RowKey = "contexts"

// Vitals are events.Vitals at a version.
type Vitals struct {
	events.Vitals
	Version events.Version
}

// Progress is a character's experience. Version 0 means it never fought.
type Progress struct {
	XP      int64
	Version events.Version
}

// An Item is how many of an item a character has; 0 is a tombstone.
type Item struct {
	Quantity int64
	Version  events.Version
}

// A Scenario is the progress in one scenario.
type Scenario struct {
	Step      int32
	Status    string
	Data      json.RawMessage
	SessionID uuid.UUID // the session that made the progress
	Version   events.Version
}

// The states of a scenario.
const (
	StatusActive    = "active"
	StatusPaused    = "paused"
	StatusCompleted = "completed"
	StatusAbandoned = "abandoned"
)

// A Session is one stay in a context.
type Session struct {
	Context  Context
	OpenedAt events.Version
	Version  events.Version // of its newest change

	ScenarioID string          // for a scenario
	Round      int32           // for combat
	Data       json.RawMessage // for combat, the game's own
	// Result is the event of a fight that has ended and is not saved yet; nil
	// while the session is open.
	Result *events.StateChanged
}

// Open reports whether the session can still be written to.
func (s Session) Open() bool { return s.Result == nil }

// A Context is a mode that a character can be in.
type Context string

// The contexts.
const (
	ContextCombat    Context = "combat"
	ContextInventory Context = "inventory"
	ContextScenario  Context = "scenario"
)

// AllContexts lists the contexts.
var AllContexts = []Context{ContextCombat, ContextInventory, ContextScenario}

// Contexts is the map of a character's active contexts, the value of ac:<id>.
type Contexts struct {
	Version events.Version
	Active  map[Context]uuid.UUID
}

// Is reports whether session is the open one of a context.
func (c Contexts) Is(context Context, session uuid.UUID) bool {
	return session != uuid.Nil && c.Active[context] == session
}

// A Change is what one commit does to a character, all or nothing.
type Change struct {
	Char    events.CharID
	Version events.Version
	// Expect lists the parts that must be as they were loaded; none for a blind
	// write, which only has to be newer.
	Expect map[Part]events.Version
	// Copy is the hot copy that was loaded. Versions of parts are compared within
	// one copy only: what was joined anew may have lost a change and gained
	// another. "" for any.
	Copy string

	// What is written, each row with its own version, at most the change's.
	Vitals    *Vitals
	Progress  *Progress
	Items     map[string]Item
	Scenarios map[string]Scenario
	// Contexts holds the contexts that change; uuid.Nil closes one.
	Contexts map[Context]uuid.UUID
	// Active is the whole map of contexts that Contexts leads to.
	Active map[Context]uuid.UUID
	// Sessions are written whole; Ended ones are removed.
	Sessions map[uuid.UUID]Session
	Ended    []uuid.UUID
	// Transfers are kept until they are saved.
	Transfers map[uuid.UUID]events.Transfer

	// Events say what changed, for the savers.
	Events []events.StateChanged
	// Unseen is set where the player did not act: it is no sign of life.
	Unseen bool
}

// Marks names the rows that are dirty until somebody has saved them: those of
// the events, the trades, and the mirror of the contexts.
func (c *Change) Marks() []events.Row {
	var rows []events.Row
	for i := range c.Events {
		rows = append(rows, c.Events[i].Rows()...)
	}
	for _, t := range c.Transfers {
		rows = append(rows, t.Row())
	}
	if len(c.Contexts) > 0 {
		rows = append(rows, events.Row{Key: RowContexts, Version: c.Version})
	}
	return rows
}

// NeedsPublish reports whether the change has events, or contexts for the mirror. The
// state of an open fight lives in the hot state alone.
func (c *Change) NeedsPublish() bool { return len(c.Events)+len(c.Contexts) > 0 }

// newChange begins a change of state s that depends on some parts of it.
func newChange(s *State, v events.Version, parts ...Part) *Change {
	c := &Change{Char: s.Char, Version: v}
	if len(parts) > 0 {
		c.Expect, c.Copy = make(map[Part]events.Version, len(parts)), s.Copy
	}
	for _, part := range parts {
		c.Expect[part] = s.Parts[part]
	}
	c.Active = maps.Clone(s.Contexts.Active)
	return c
}

// setContext opens a session of a context, or closes it with uuid.Nil.
func (c *Change) setContext(context Context, session uuid.UUID) {
	if c.Contexts == nil {
		c.Contexts = map[Context]uuid.UUID{}
	}
	c.Contexts[context] = session
	if session == uuid.Nil {
		delete(c.Active, context)
		return
	}
	if c.Active == nil {
		c.Active = map[Context]uuid.UUID{}
	}
	c.Active[context] = session
}
