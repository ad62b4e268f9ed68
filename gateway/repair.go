package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// ErrNotRestated is returned by Restate for rows that no event of their own can
// say: experience is told by fights alone.
var ErrNotRestated = errors.New("the row cannot be said again by itself")

// Restate gives rows of a character the values that they have in the hot copy
// once more, at a new version: for rows of which PostgreSQL has another value at
// the same version, which no event of that version can correct. Rows that Redis
// does not have are left alone.
func (s *Service) Restate(ctx context.Context, char events.CharID, rows ...events.RowKey) error {
	var refused error
	_, err := s.act(ctx, action{
		char: char, load: s.loader(char, game.Everything),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			var change *game.Change
			change, refused = restate(&l.State, v, s.Cause, rows)
			return change, &Answer{}, nil
		},
	})
	return errors.Join(err, refused)
}

// restate makes the change; nil where there is nothing to say.
func restate(s *game.State, v events.Version, cause events.Cause, rows []events.RowKey) (*game.Change, error) {
	r := &restatement{state: s, cause: cause, Change: game.Change{
		Char: s.Char, Version: v, Unseen: true, Expect: map[game.Part]events.Version{},
		Items: map[string]game.Item{}, Scenarios: map[string]game.Scenario{},
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
			Items: r.bag, Transfers: s.Carry(slices.Collect(maps.Keys(r.Items))...),
		}), game.PartItems)
	}
	if len(r.Events) == 0 {
		return nil, refused
	}
	return &r.Change, refused
}

// restatement is a change that changes nothing but versions.
type restatement struct {
	game.Change
	state *game.State
	cause events.Cause
	bag   []events.ItemChange
}

func (r *restatement) say(e events.StateChanged, part game.Part) {
	r.Events = append(r.Events, e)
	r.Expect[part] = r.state.Parts[part]
}

func (r *restatement) vitals() {
	if have := r.state.Vitals; have != nil {
		r.Vitals = &game.Vitals{Vitals: have.Vitals, Version: r.Version}
		r.say(events.New(r.Char, r.Version, r.cause, uuid.Nil, events.ScopeVitals, have.Vitals), game.PartVitals)
	}
}

func (r *restatement) item(id string) {
	if have, ok := r.state.Items[id]; ok {
		r.Items[id] = game.Item{Quantity: have.Quantity, Version: r.Version}
		r.bag = append(r.bag, events.ItemChange{ItemID: id, Quantity: have.Quantity})
	}
}

func (r *restatement) scenario(id string) {
	if have, ok := r.state.Scenarios[id]; ok {
		have.Version = r.Version
		r.Scenarios[id] = have
		r.say(game.ScenarioEvent(r.Char, id, have, r.cause), game.PartScenarios)
	}
}

// without is the state with some of its rows left out.
func without(s game.State, rows []events.RowKey) *game.State {
	s.Items, s.Scenarios = maps.Clone(s.Items), maps.Clone(s.Scenarios)
	for _, key := range rows {
		switch {
		case key == events.RowVitals:
			s.Vitals = nil
		case key == events.RowProgress:
			s.Progress = game.Progress{}
		case key.Scope() == events.ScopeInventory:
			delete(s.Items, key.Name())
		case key.Scope() == events.ScopeScenario:
			delete(s.Scenarios, key.Name())
		}
	}
	return &s
}
