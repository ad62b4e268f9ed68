package game

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// ErrNotRestated is returned by Restate for rows that no event of their own can
// say: experience is told by fights alone.
var ErrNotRestated = errors.New("the row cannot be said again by itself")

// Restate gives rows the values that they have in s once more, at a new version. It is
// nil where there is nothing to say; rows that s does not have are left alone.
func Restate(s *State, v events.Version, cause events.Cause, rows []events.RowKey) (*Change, error) {
	c := restated(s, v)
	var refused error
	for _, key := range rows {
		switch key.Scope() {
		case events.ScopeVitals:
			c.restateVitals(s, cause)
		case events.ScopeInventory:
			c.restateItem(s, key.Name())
		case events.ScopeScenario:
			c.restateScenario(s, key.Name(), cause)
		default:
			refused = errors.Join(refused, fmt.Errorf("%w: %s", ErrNotRestated, key))
		}
	}
	c.sayBag(s, cause)
	if len(c.Events) == 0 {
		return nil, refused
	}
	return c, refused
}

// restated is a change that the player did not make.
func restated(s *State, v events.Version) *Change {
	return &Change{
		Char: s.Char, Version: v, Unseen: true, Expect: map[Part]events.Version{}, Copy: s.Copy,
		Items: map[string]Item{}, Scenarios: map[string]Scenario{},
	}
}

func (c *Change) expect(s *State, parts ...Part) {
	for _, part := range parts {
		c.Expect[part] = s.Parts[part]
	}
}

func (c *Change) restateVitals(s *State, cause events.Cause) {
	if s.Vitals != nil {
		c.Vitals = &Vitals{Vitals: s.Vitals.Vitals, Version: c.Version}
		c.expect(s, PartVitals)
		c.Events = append(c.Events, events.New(c.Char, c.Version, cause, uuid.Nil, events.ScopeVitals, s.Vitals.Vitals))
	}
}

func (c *Change) restateItem(s *State, id string) {
	if have, ok := s.Items[id]; ok {
		c.Items[id] = Item{Quantity: have.Quantity, Version: c.Version}
		c.expect(s, PartItems)
	}
}

func (c *Change) restateScenario(s *State, id string, cause events.Cause) {
	if have, ok := s.Scenarios[id]; ok {
		have.Version = c.Version
		c.Events = append(c.Events, numbered(ScenarioEvent(c.Char, id, have, cause), len(c.Scenarios)))
		c.Scenarios[id] = have
		c.expect(s, PartScenarios)
	}
}

// sayBag says the items of the change, which may be more than one event holds.
func (c *Change) sayBag(s *State, cause events.Cause) {
	bag := &State{Char: c.Char, Items: c.Items, Transfers: s.Transfers}
	c.Events = append(c.Events, bag.sayChunks(cause, slices.Sorted(maps.Keys(c.Items)), bagChunk)...)
}
