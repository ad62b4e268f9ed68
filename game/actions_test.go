package game_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// What a character of a world does.

func (w *world) setVitals(t *rapid.T) {
	vitals := events.Vitals{
		HP: rapid.Int32Min(0).Draw(t, "hp"), Energy: rapid.Int32Range(0, 100).Draw(t, "energy"),
		Location: events.Location{Zone: "harbor", X: rapid.Float64Range(-9, 9).Draw(t, "x")},
	}
	_, _ = w.decide(t, func(s *game.State, v events.Version) (*game.Change, error) {
		return game.SetVitals(s, v, vitals), nil
	})
}

func (w *world) changeItems(t *rapid.T) {
	deltas := anyDeltas(-4).Draw(t, "deltas")
	possible := true
	for _, d := range deltas {
		have := w.state.Items[d.ItemID].Quantity
		possible = possible && have+min(d.Delta, 0) >= 0 && have <= math.MaxInt64-max(d.Delta, 0)
	}
	c, err := w.decide(t, func(s *game.State, v events.Version) (*game.Change, error) {
		return game.ChangeItems(s, v, deltas)
	})
	if possible != (c != nil) {
		t.Fatalf("%v: change %+v, %v", deltas, c, err)
	}
}

func anyDeltas(least int64) *rapid.Generator[[]game.ItemDelta] {
	delta := rapid.Custom(func(t *rapid.T) game.ItemDelta {
		return game.ItemDelta{ItemID: rapid.SampledFrom(items).Draw(t, "item"), Delta: anyAmount(least).Draw(t, "delta")}
	})
	return rapid.SliceOfNDistinct(delta, 1, len(items), func(d game.ItemDelta) string { return d.ItemID })
}

func anyAmount(least int64) *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64Range(least, 9), rapid.Int64Range(least, 9), rapid.Just[int64](math.MaxInt64-3))
}

func (w *world) enter(t *rapid.T) {
	in := game.Entry{
		Context: rapid.SampledFrom(game.AllContexts).Draw(t, "context"), SessionID: newSession(t), Force: rapid.Bool().Draw(t, "force"),
	}
	if in.Context == game.ContextScenario {
		in.ScenarioID = rapid.SampledFrom(roads).Draw(t, "scenario")
	}
	before := w.state.Contexts.Active
	var preempted []game.Preempted
	c, err := w.decide(t, func(s *game.State, v events.Version) (c *game.Change, err error) {
		c, preempted, err = game.Enter(s, v, in)
		return c, err
	})
	if fight := before[game.ContextCombat]; (err != nil) != (fight != uuid.Nil && !in.Force) {
		t.Fatalf("entering with fight %s, forced %v: %v", fight, in.Force, err)
	}
	if c != nil {
		w.entered(t, in, before, preempted)
	}
}

// entered: what was active is listed once as preempted, and only the new
// session is active.
func (w *world) entered(t *rapid.T, in game.Entry, before map[game.Context]uuid.UUID, preempted []game.Preempted) {
	listed := map[game.Context]uuid.UUID{}
	for _, p := range preempted {
		listed[p.Context] = p.SessionID
	}
	if diff := cmp.Diff(before, listed, cmpopts.EquateEmpty()); diff != "" || len(listed) != len(preempted) {
		t.Fatalf("preempted %v (-active before +listed):\n%s", preempted, diff)
	}
	if diff := cmp.Diff(map[game.Context]uuid.UUID{in.Context: in.SessionID}, w.state.Contexts.Active); diff != "" {
		t.Fatalf("active after entering (-want +got):\n%s", diff)
	}
	w.opened = append(w.opened, in.SessionID)
}

// session is mostly the open one, else one that has ended or never was.
func (w *world) session(t *rapid.T, context game.Context) uuid.UUID {
	candidates := []uuid.UUID{newSession(t), uuid.Nil}
	if open := w.state.Contexts.Active[context]; open != uuid.Nil {
		candidates = append(candidates, open, open, open, open)
	}
	return rapid.SampledFrom(append(candidates, w.opened...)).Draw(t, "session")
}

func newSession(t *rapid.T) (id uuid.UUID) {
	copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "new session"))
	id[0] |= 1
	return id
}

// inSession is an action of a session: refused unless that is the open one.
func (w *world) inSession(t *rapid.T, context game.Context, decision func(s *game.State, v events.Version, session uuid.UUID) (*game.Change, error)) {
	session := w.session(t, context)
	open := w.state.Contexts.Is(context, session)
	_, err := w.decide(t, func(s *game.State, v events.Version) (*game.Change, error) { return decision(s, v, session) })
	var notOpen *game.NotOpenError
	if errors.As(err, &notOpen) == open {
		t.Fatalf("%s session %s, open %v: %v", context, session, open, err)
	}
}

func (w *world) advance(t *rapid.T) {
	step, data := rapid.Int32Range(0, 9).Draw(t, "step"), anyData().Draw(t, "data")
	w.inSession(t, game.ContextScenario, func(s *game.State, v events.Version, session uuid.UUID) (*game.Change, error) {
		return game.AdvanceScenario(s, v, game.Step{SessionID: session, Step: step, Data: data})
	})
}

func anyData() *rapid.Generator[json.RawMessage] {
	return rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{}`), json.RawMessage(`{"met":["Ana"]}`)})
}

func (w *world) fight(t *rapid.T) {
	round, data := rapid.Int32Range(0, 9).Draw(t, "round"), anyData().Draw(t, "data")
	w.inSession(t, game.ContextCombat, func(s *game.State, v events.Version, session uuid.UUID) (*game.Change, error) {
		return game.AdvanceCombat(s, v, game.Round{SessionID: session, Round: round, Data: data})
	})
}

func (w *world) touch(t *rapid.T) {
	context := rapid.SampledFrom(game.AllContexts).Draw(t, "context")
	w.inSession(t, context, func(s *game.State, v events.Version, session uuid.UUID) (*game.Change, error) {
		return game.Touch(s, v, context, session)
	})
}

func (w *world) finishCombat(t *rapid.T) {
	result := game.Result{Outcome: "victory", XP: anyAmount(0).Draw(t, "xp"), Loot: anyDeltas(1).Draw(t, "loot")}
	w.inSession(t, game.ContextCombat, func(s *game.State, v events.Version, session uuid.UUID) (*game.Change, error) {
		return game.FinishCombat(s, v, session, result)
	})
}

func (w *world) finishInventory(t *rapid.T) {
	w.inSession(t, game.ContextInventory, game.FinishInventory)
}

func (w *world) finishScenario(t *rapid.T) { w.inSession(t, game.ContextScenario, game.FinishScenario) }

func (w *world) abandon(t *rapid.T) {
	open := len(w.state.Contexts.Active) > 0
	c, _ := w.decide(t, func(s *game.State, v events.Version) (*game.Change, error) { return game.Abandon(s, v), nil })
	if open != (c != nil) || c != nil && !c.Unseen || len(w.state.Contexts.Active) > 0 {
		t.Fatalf("abandoned with sessions open %v: %+v, active %v", open, c, w.state.Contexts.Active)
	}
}

// saved: a saver has the fights that ended, and clears their sessions.
func (w *world) saved(*rapid.T) {
	w.state = clone(w.state)
	maps.DeleteFunc(w.state.Sessions, func(_ uuid.UUID, s game.Session) bool { return !s.Open() })
}

// lost: Redis came back without the records of the sessions that are open.
func (w *world) lost(*rapid.T) {
	w.state = clone(w.state)
	maps.DeleteFunc(w.state.Sessions, func(_ uuid.UUID, s game.Session) bool { return s.Open() })
}
