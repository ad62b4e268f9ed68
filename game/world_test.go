package game_test

import (
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// A world is one character that lives through random actions, and what must be
// true of it: the sums of all that was said, and a copy joined from it.
type world struct {
	state  *game.State
	said   []events.StateChanged
	joined *game.State         // of what was said, one after the other
	shown  []game.Contexts     // each that there was
	opened []uuid.UUID         // all sessions
	xp     int64               // gained in all fights
	sums   map[string]int64    // of all deltas, by item
	ids    map[uuid.UUID]bool  // of what was said
	fought map[uuid.UUID]int64 // xp of each fight that has ended
}

func newWorld() *world {
	return &world{
		state: &game.State{Char: 42}, joined: &game.State{Char: 42},
		sums: map[string]int64{}, ids: map[uuid.UUID]bool{}, fought: map[uuid.UUID]int64{},
	}
}

// play is the life of a character that took n actions.
func play(t *rapid.T, n int) *world {
	w := newWorld()
	for range n {
		w.act(t)
	}
	return w
}

var items = []string{"coin", "potion", "sword"}

var roads = []string{"old-road", "mill", "crypt"}

// act does one random action, or has it refused.
func (w *world) act(t *rapid.T) {
	actions := map[string]func(*rapid.T){
		"vitals": w.setVitals, "items": w.changeItems, "enter": w.enter,
		"advance": w.advance, "fight": w.fight, "touch": w.touch,
		"finish combat": w.finishCombat, "finish inventory": w.finishInventory, "finish scenario": w.finishScenario,
		"abandon": w.abandon, "saved": w.saved, "lost": w.lost,
	}
	names := append(slices.Sorted(maps.Keys(actions)), "enter", "enter") // much depends on it
	actions[rapid.SampledFrom(names).Draw(t, "action")](t)
}

// decide puts a decision to the state, checks what comes back, and applies it.
// It returns nil where the action was refused or nothing was to do.
func (w *world) decide(t *rapid.T, decision func(s *game.State, v events.Version) (*game.Change, error)) (*game.Change, error) {
	before := clone(w.state)
	v := w.state.Version + events.Version(rapid.Int64Range(1, 1000).Draw(t, "time passes"))
	c, err := decision(w.state, v)
	if diff := cmp.Diff(before, w.state, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the decision changed the state that it was given:\n%s", diff)
	}
	if err != nil {
		if c != nil || !errors.Is(err, game.ErrConflict) {
			t.Fatalf("refused with %v and the change %+v", err, c)
		}
		return nil, err
	}
	if c != nil {
		w.check(t, c, v)
		w.note(t, c)
		w.state = apply(w.state, c)
		w.shown = append(w.shown, w.state.Contexts)
	}
	return c, nil
}

// check is what must be true of any change.
func (w *world) check(t *rapid.T, c *game.Change, v events.Version) {
	if c.Char != w.state.Char || c.Version < v {
		t.Fatalf("character %d version %d, asked for %d version %d", c.Char, c.Version, w.state.Char, v)
	}
	if diff := cmp.Diff(apply(w.state, c).Contexts.Active, c.Active, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the contexts change by %v, which leads elsewhere (-applied +said):\n%s", c.Contexts, diff)
	}
	for part, version := range c.Expect {
		if version != w.state.Parts[part] {
			t.Fatalf("expects %s at %d, loaded %d", part, version, w.state.Parts[part])
		}
	}
	for key, version := range (&game.State{
		Vitals: c.Vitals, Progress: deref(c.Progress), Items: c.Items, Scenarios: c.Scenarios, Sessions: c.Sessions,
	}).Rows() {
		if version > c.Version || version < v {
			t.Fatalf("%s is written at %d in a change of %d to %d", key, version, v, c.Version)
		}
		if !slices.Contains(c.Marks(), events.Row{Key: key, Version: version}) {
			t.Fatalf("%s is written at %d and has no mark in %v", key, version, c.Marks())
		}
	}
}

func deref(p *game.Progress) game.Progress {
	if p == nil {
		return game.Progress{}
	}
	return *p
}

// note takes down what the change says.
func (w *world) note(t *rapid.T, c *game.Change) {
	for i := range c.Events {
		e := c.Events[i]
		body, err := events.Encode(&e)
		if err != nil {
			t.Fatalf("says what cannot be said: %v", err)
		}
		if len(body) == 0 || e.CharID != c.Char || e.Version <= w.state.Version || e.Version > c.Version || w.ids[e.ID] {
			t.Fatalf("a change to version %d says %s", c.Version, body)
		}
		for _, row := range e.Rows() {
			if row.Version > c.Version {
				t.Fatalf("%s at %d in a change of version %d", row.Key, row.Version, c.Version)
			}
		}
		w.ids[e.ID] = true
		w.add(t, &e)
		w.said = append(w.said, e)
		game.Join(w.joined, game.FromEvent(&e))
	}
}

// add keeps the sums.
func (w *world) add(t *rapid.T, e *events.StateChanged) {
	var changes []events.ItemChange
	switch data := e.Data.(type) {
	case events.Inventory:
		changes = data.Items
	case events.Combat:
		changes = data.Loot
		if _, twice := w.fought[e.SessionID]; twice {
			t.Fatalf("fight %s ends twice", e.SessionID)
		}
		w.fought[e.SessionID] = data.XPGained
		w.xp += data.XPGained
	}
	for _, c := range changes {
		w.sums[c.ItemID] += c.Delta
	}
}

// holds is what must be true at any moment.
func (w *world) holds(t *rapid.T) {
	if n := len(w.state.Contexts.Active); n > 1 {
		t.Fatalf("%d contexts are active: %v", n, w.state.Contexts.Active)
	}
	if w.state.Progress.XP != w.xp {
		t.Fatalf("xp %d, gained in all fights %d", w.state.Progress.XP, w.xp)
	}
	for _, id := range items {
		if have := w.state.Items[id].Quantity; have < 0 || have != w.sums[id] {
			t.Fatalf("%d of %s, the sum of all deltas is %d", have, id, w.sums[id])
		}
	}
	if diff := cmp.Diff(saidRows(w.state), saidRows(w.joined), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("the events tell another story (-state +events):\n%s", diff)
	}
}

// saidRows are the parts of a state that events carry.
func saidRows(s *game.State) game.State {
	return game.State{Vitals: s.Vitals, Progress: s.Progress, Items: s.Items, Scenarios: s.Scenarios}
}

func TestAnyLifeOfACharacterHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		for range rapid.IntRange(1, 40).Draw(t, "actions") {
			w.act(t)
			w.holds(t)
		}
	})
}
