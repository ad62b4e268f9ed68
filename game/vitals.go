package game

import (
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// SetVitals replaces the vitals. It depends on nothing: a newer snapshot wins.
func SetVitals(s *State, v events.Version, vitals events.Vitals) *Change {
	c := newChange(s, v)
	c.Vitals = &Vitals{vitals, v}
	c.Events = []events.StateChanged{
		events.New(s.Char, v, events.CauseAction, uuid.Nil, events.ScopeVitals, vitals),
	}
	return c
}
