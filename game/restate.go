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

// Restate gives rows the values that they have once more, at a new version. It is nil
// where there is nothing to say; rows that the state does not have are left alone.
func Restate(s *State, v events.Version, cause events.Cause, rows []events.RowKey) (*Change, error) {
	r := &restatement{state: s, cause: cause, Change: Change{
		Char: s.Char, Version: v, Unseen: true, Expect: map[Part]events.Version{},
		Items: map[string]Item{}, Scenarios: map[string]Scenario{},
	}}
	var refused error
	for _, key := range rows {
		switch key.Scope() {
		case events.ScopeVitals:
			r.vitals()
		case events.ScopeInventory:
			r.item(key.Name())
		case events.ScopeScenario:
			r.scenario(key.Name())
		default:
			refused = errors.Join(refused, fmt.Errorf("%w: %s", ErrNotRestated, key))
		}
	}
	if len(r.bag) > 0 {
		r.say(events.New(s.Char, v, cause, uuid.Nil, events.ScopeInventory, events.Inventory{
			Items: r.bag, Transfers: s.carry(slices.Collect(maps.Keys(r.Items))...),
		}), PartItems)
	}
	if len(r.Events) == 0 {
		return nil, refused
	}
	return &r.Change, refused
}

// restatement is a change that changes nothing but versions.
type restatement struct {
	Change
	state *State
	cause events.Cause
	bag   []events.ItemChange
}

func (r *restatement) say(e events.StateChanged, part Part) {
	r.Events = append(r.Events, e)
	r.Expect[part] = r.state.Parts[part]
}

func (r *restatement) vitals() {
	if have := r.state.Vitals; have != nil {
		r.Vitals = &Vitals{Vitals: have.Vitals, Version: r.Version}
		r.say(events.New(r.Char, r.Version, r.cause, uuid.Nil, events.ScopeVitals, have.Vitals), PartVitals)
	}
}

func (r *restatement) item(id string) {
	if have, ok := r.state.Items[id]; ok {
		r.Items[id] = Item{Quantity: have.Quantity, Version: r.Version}
		r.bag = append(r.bag, events.ItemChange{ItemID: id, Quantity: have.Quantity})
	}
}

func (r *restatement) scenario(id string) {
	if have, ok := r.state.Scenarios[id]; ok {
		have.Version = r.Version
		r.Scenarios[id] = have
		r.say(ScenarioEvent(r.Char, id, have, r.cause), PartScenarios)
	}
}
