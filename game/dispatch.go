package game

import (
	"maps"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// bagChunk is how many items one event of a whole bag names, so that it stays
// below events.MaxBytes with the trades that they rest on.
const bagChunk = 200

// Snapshot says a scope's whole hot state as events, for a save that is ordered
// again. Each carries the version at which it was changed, so that it lands
// only where the saved state is older. It is empty where there is nothing.
func Snapshot(s *State, scope events.Scope, cause events.Cause) []events.StateChanged {
	switch scope {
	case events.ScopeVitals:
		return s.vitalsSnapshot(cause)
	case events.ScopeInventory:
		return s.bagSnapshot(cause)
	case events.ScopeScenario:
		return s.scenarioSnapshot(cause)
	case events.ScopeCombat:
		return s.fightSnapshot(cause)
	}
	return nil
}

func (s *State) vitalsSnapshot(cause events.Cause) []events.StateChanged {
	if s.Vitals == nil {
		return nil
	}
	return []events.StateChanged{
		events.New(s.Char, s.Vitals.Version, cause, uuid.Nil, events.ScopeVitals, s.Vitals.Vitals),
	}
}

func (s *State) bagSnapshot(cause events.Cause) []events.StateChanged {
	ids, chunk := slices.Sorted(maps.Keys(s.Items)), bagChunk
	if cause == events.CauseCleanup {
		// What is lost, each item alone: one that PostgreSQL refuses must not
		// keep the others from being saved.
		if dirty := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !s.isDirty(id) }); len(dirty) > 0 {
			ids, chunk = dirty, 1
		}
	}
	return s.sayChunks(cause, ids, chunk)
}

// sayChunks says what becomes of some items, so many in an event.
func (s *State) sayChunks(cause events.Cause, ids []string, chunk int) (out []events.StateChanged) {
	for ids := range slices.Chunk(ids, chunk) {
		out = s.sayItems(out, cause, ids)
	}
	return out
}

// sayItems appends the events that say some items: one, or more where the trades that
// they rest on do not fit into one.
func (s *State) sayItems(out []events.StateChanged, cause events.Cause, ids []string) []events.StateChanged {
	carried, err := fitting(s.carry(ids...))
	if half := len(ids) / 2; err != nil && half > 0 {
		return s.sayItems(s.sayItems(out, cause, ids[:half]), cause, ids[half:])
	}
	var newest events.Version
	changes := make([]events.ItemChange, len(ids))
	for i, id := range ids {
		item := s.Items[id]
		changes[i] = events.ItemChange{ItemID: id, Quantity: item.Quantity, Version: item.Version}
		newest = max(newest, item.Version)
	}
	e := events.New(s.Char, newest, cause, uuid.Nil, events.ScopeInventory, events.Inventory{Items: changes, Transfers: carried})
	return append(out, numbered(e, len(out)))
}

// numbered is the event after n others of its scope and version: it is not the same as
// these, so it has another id.
func numbered(e events.StateChanged, n int) events.StateChanged {
	if n > 0 {
		e.ID = uuid.NewSHA1(e.ID, []byte(strconv.Itoa(n)))
	}
	return e
}

func (s *State) isDirty(item string) bool {
	_, dirty := s.Dirty[events.RowItem(item)]
	return dirty
}

func (s *State) scenarioSnapshot(cause events.Cause) (out []events.StateChanged) {
	for _, id := range slices.Sorted(maps.Keys(s.Scenarios)) {
		out = append(out, ScenarioEvent(s.Char, id, s.Scenarios[id], cause))
	}
	return out
}

// fightSnapshot says the fights that have ended and are not saved, oldest first.
func (s *State) fightSnapshot(cause events.Cause) (out []events.StateChanged) {
	for _, session := range s.Sessions {
		if session.Result != nil {
			result := *session.Result
			result.Cause = cause
			out = append(out, result)
		}
	}
	slices.SortFunc(out, func(a, b events.StateChanged) int { return int(a.Version - b.Version) })
	return out
}
