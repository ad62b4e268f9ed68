package game_test

import (
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// apply writes a change into a copy of the state, as hot does.
func apply(s *game.State, c *game.Change) *game.State {
	s = clone(s)
	s.Version = c.Version
	if c.Vitals != nil {
		s.Vitals, s.Parts[game.PartVitals] = c.Vitals, c.Version
	}
	if c.Progress != nil {
		s.Progress, s.Parts[game.PartProgress] = *c.Progress, c.Version
	}
	writeRows(s, game.PartItems, s.Items, c.Items, c.Version)
	writeRows(s, game.PartScenarios, s.Scenarios, c.Scenarios, c.Version)
	writeRows(s, game.PartSessions, s.Sessions, c.Sessions, c.Version)
	for _, id := range c.Ended {
		delete(s.Sessions, id)
		s.Parts[game.PartSessions] = c.Version
	}
	for context, id := range c.Contexts {
		s.Contexts.Version, s.Parts[game.PartContexts] = c.Version, c.Version
		s.Contexts.Active[context] = id
		if id == uuid.Nil {
			delete(s.Contexts.Active, context)
		}
	}
	return s
}

func writeRows[K comparable, V any](s *game.State, part game.Part, into, rows map[K]V, v events.Version) {
	maps.Copy(into, rows)
	if len(rows) > 0 {
		s.Parts[part] = v
	}
}

// clone shares no memory with s that anybody may write to.
func clone(s *game.State) *game.State {
	out := *s
	out.Parts = cloneMap(s.Parts)
	out.Contexts.Active = cloneMap(s.Contexts.Active)
	out.Items = cloneMap(s.Items)
	out.Scenarios = cloneMap(s.Scenarios)
	out.Sessions = cloneMap(s.Sessions)
	if s.Vitals != nil {
		vitals := *s.Vitals
		out.Vitals = &vitals
	}
	for id, scenario := range out.Scenarios {
		scenario.Data = slices.Clone(scenario.Data)
		out.Scenarios[id] = scenario
	}
	for id, session := range out.Sessions {
		session.Data = slices.Clone(session.Data)
		if session.Result != nil {
			result := *session.Result
			session.Result = &result
		}
		out.Sessions[id] = session
	}
	return &out
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	out := make(map[K]V, len(m))
	maps.Copy(out, m)
	return out
}
