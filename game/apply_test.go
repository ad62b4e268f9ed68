package game_test

import (
	"maps"
	"slices"

	"github.com/savepoint-games/savepoint/game"
)

// apply writes a change into a copy of the state.
func apply(s *game.State, c *game.Change) *game.State {
	s = clone(s)
	s.Apply(c)
	return s
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
