package game

import (
	"maps"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// Join adds what b knows to a: of two copies of a row the higher version stays.
// It is commutative, associative and idempotent, so copies from Redis,
// PostgreSQL and the stream may be joined in any order and any number of times.
// a keeps its Parts, which say what a commit has to expect.
func Join(a, b *State) {
	a.Version = max(a.Version, b.Version)
	if b.Vitals != nil && (a.Vitals == nil || a.Vitals.Version < b.Vitals.Version) {
		a.Vitals = b.Vitals
	}
	if a.Progress.Version < b.Progress.Version {
		a.Progress = b.Progress
	}
	if a.Contexts.Version < b.Contexts.Version {
		a.Contexts = b.Contexts
	}
	a.Items = joinRows(a.Items, b.Items)
	a.Scenarios = joinRows(a.Scenarios, b.Scenarios)
	a.Transfers = joinTransfers(a.Char, a.Transfers, b.Transfers)
	a.Sessions = joinRows(a.Sessions, b.Sessions)
}

func joinTransfers(char events.CharID, a, b map[uuid.UUID]events.Transfer) map[uuid.UUID]events.Transfer {
	if a == nil {
		a = make(map[uuid.UUID]events.Transfer, len(b))
	}
	for id, theirs := range b {
		a[id] = joinTransfer(char, a[id], theirs)
	}
	return a
}

// joinTransfer joins what a character knows of a trade. Of two trades under one id it keeps
// the one that it has sent: it may hold the items.
func joinTransfer(char events.CharID, a, b events.Transfer) events.Transfer {
	if sent := a.From == char; a.Version != 0 && sent != (b.From == char) {
		if sent {
			return a
		}
		return b
	}
	return newerTransfer(a, b)
}

// versioned is a row that says its version.
type versioned interface{ version() events.Version }

func (i Item) version() events.Version     { return i.Version }
func (s Scenario) version() events.Version { return s.Version }
func (s Session) version() events.Version  { return s.Version }

func joinRows[K comparable, V versioned](a, b map[K]V) map[K]V {
	if a == nil {
		a = make(map[K]V, len(b))
	}
	for key, theirs := range b {
		if ours, ok := a[key]; !ok || ours.version() < theirs.version() {
			a[key] = theirs
		}
	}
	return a
}

// Has reports whether a copy has each row of another, at its version or above. Fights and
// completed trades do not count: PostgreSQL is not asked for all of them.
func (s *State) Has(other *State) bool {
	if v := other.Vitals; v != nil && (s.Vitals == nil || s.Vitals.Version < v.Version) {
		return false
	}
	for id, t := range other.Transfers {
		if held, ok := s.Transfers[id]; ok && held.Before(&t) {
			return false
		}
	}
	return s.Progress.Version >= other.Progress.Version &&
		hasRows(s.Items, other.Items) &&
		hasRows(s.Scenarios, other.Scenarios)
}

func hasRows[K comparable, V versioned](a, b map[K]V) bool {
	for key, theirs := range b {
		if a[key].version() < theirs.version() {
			return false
		}
	}
	return true
}

// FromEvent is what one event knows of its character.
func FromEvent(e *events.StateChanged) *State {
	s := &State{Char: e.CharID, Version: e.Version, Transfers: make(map[uuid.UUID]events.Transfer)}
	for _, t := range e.Transfers() {
		s.Transfers[t.ID] = t
	}
	switch data := e.Data.(type) {
	case events.Vitals:
		s.Vitals = &Vitals{data, e.Version}
	case events.Inventory:
		s.Items = itemsFrom(data.Items, e.Version)
	case events.Scenario:
		s.Scenarios = map[string]Scenario{data.ScenarioID: {
			Step: data.Step, Status: data.Status, Data: data.Data, SessionID: e.SessionID, Version: e.Version,
		}}
	case events.Combat:
		s.Progress = Progress{data.XP, e.Version}
		s.Items = itemsFrom(data.Loot, e.Version)
		s.Sessions = map[uuid.UUID]Session{e.SessionID: {
			Context: ContextCombat, OpenedAt: events.Version(data.StartedAt.UnixMicro()), Version: e.Version,
			Round: data.Rounds, Result: e,
		}}
	}
	return s
}

func itemsFrom(changes []events.ItemChange, v events.Version) map[string]Item {
	items := make(map[string]Item, len(changes))
	for _, c := range changes {
		items[c.ItemID] = Item{c.Quantity, c.VersionIn(v)}
	}
	return items
}

// Rows lists each row of the state with its version: what PostgreSQL has to
// hold for the state to be saved.
func (s *State) Rows() events.RowVersions {
	rows := make(events.RowVersions)
	if s.Vitals != nil {
		rows[events.RowVitals] = s.Vitals.Version
	}
	if s.Progress.Version > 0 {
		rows[events.RowProgress] = s.Progress.Version
	}
	for id, item := range s.Items {
		rows[events.RowItem(id)] = item.Version
	}
	for id, scenario := range s.Scenarios {
		rows[events.RowScenario(id)] = scenario.Version
	}
	for id, session := range s.Sessions {
		if session.Result != nil {
			rows[events.RowFight(id)] = session.Version
		}
	}
	for _, t := range s.Transfers {
		row := t.Row()
		rows[row.Key] = row.Version
	}
	return rows
}

// Unsaved lists the rows of a joined state that PostgreSQL does not have at their
// version, and the contexts where the mirror does not show them. saved and fights are
// what PostgreSQL has, shown is what the mirror shows.
func (s *State) Unsaved(saved *State, fights map[uuid.UUID]events.Version, shown Contexts) (rows []events.Row) {
	stored := saved.Rows()
	for id, version := range fights {
		stored[events.RowFight(id)] = version
	}
	for id := range s.Transfers {
		delete(stored, events.RowTransfer(id)) // one in escrow is not done with when it is stored
	}
	for key, version := range s.Rows() {
		if stored[key] < version {
			rows = append(rows, events.Row{Key: key, Version: version})
		}
	}
	if len(s.Contexts.Active)+len(shown.Active) > 0 && !maps.Equal(s.Contexts.Active, shown.Active) {
		rows = append(rows, events.Row{Key: RowContexts, Version: s.Version})
	}
	return rows
}

// Fights lists the fights that the state names, open or ended.
func (s *State) Fights() (sessions []uuid.UUID) {
	if open := s.Contexts.Active[ContextCombat]; open != uuid.Nil {
		sessions = append(sessions, open)
	}
	for id, session := range s.Sessions {
		if session.Context == ContextCombat {
			sessions = append(sessions, id)
		}
	}
	return sessions
}

// CloseEnded drops from the contexts each session that has ended: as the rest of the
// state shows, or because it is a fight among those that are saved. These fights are
// dropped from the sessions, too. A map of contexts that came back older must not reopen
// a fight whose reward is granted.
func (s *State) CloseEnded(saved map[uuid.UUID]events.Version) {
	s.Contexts.Active = maps.Clone(s.Contexts.Active) // other copies may have the same map
	fight := s.Contexts.Active[ContextCombat]
	session, known := s.Sessions[fight]
	if _, isSaved := saved[fight]; isSaved || known && !session.Open() {
		delete(s.Contexts.Active, ContextCombat)
	}
	if s.activeIn(s.Contexts.Active[ContextScenario]) == "" {
		delete(s.Contexts.Active, ContextScenario)
	}
	for id := range saved {
		delete(s.Sessions, id)
	}
}

// Without is the state with some of its rows left out.
func (s *State) Without(rows []events.RowKey) *State {
	left := *s
	left.Items, left.Scenarios = maps.Clone(left.Items), maps.Clone(left.Scenarios)
	for _, key := range rows {
		switch {
		case key == events.RowVitals:
			left.Vitals = nil
		case key == events.RowProgress:
			left.Progress = Progress{}
		case key.Scope() == events.ScopeInventory:
			delete(left.Items, key.Name())
		case key.Scope() == events.ScopeScenario:
			delete(left.Scenarios, key.Name())
		}
	}
	return &left
}
