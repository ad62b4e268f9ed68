package game

import (
	"maps"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// Apply writes a change into the state, as its commit wrote it into the hot copy:
// the state is then what would be loaded, in the parts that it has. Its maps are
// changed.
func (s *State) Apply(c *Change) {
	s.Version = c.Version
	if s.Parts == nil {
		s.Parts = make(map[Part]events.Version, len(Parts))
	}
	if c.Vitals != nil {
		s.Vitals, s.Parts[PartVitals] = c.Vitals, c.Version
	}
	if c.Progress != nil {
		s.Progress, s.Parts[PartProgress] = *c.Progress, c.Version
	}
	s.Items = applyRows(s, PartItems, s.Items, c.Items)
	s.Scenarios = applyRows(s, PartScenarios, s.Scenarios, c.Scenarios)
	s.Sessions = applyRows(s, PartSessions, s.Sessions, c.Sessions)
	for _, id := range c.Ended {
		delete(s.Sessions, id)
		s.Parts[PartSessions] = c.Version
	}
	for id, t := range c.Transfers {
		if s.Transfers == nil {
			s.Transfers = make(map[uuid.UUID]events.Transfer)
		}
		s.Transfers[id] = t
	}
	if len(c.Contexts) > 0 {
		s.Contexts = Contexts{Version: c.Version, Active: maps.Clone(c.Active)}
		s.Parts[PartContexts] = c.Version
	}
}

// applyRows writes rows of a part at the version that the state has now.
func applyRows[K comparable, V any](s *State, part Part, into, rows map[K]V) map[K]V {
	if len(rows) == 0 {
		return into
	}
	s.Parts[part] = s.Version
	if into == nil {
		into = make(map[K]V, len(rows))
	}
	maps.Copy(into, rows)
	return into
}
