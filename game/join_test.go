package game_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// same compares what two copies know. Of a fight that is not saved its row
// counts: a dispatch says the same result for another cause.
func same(a, b *game.State) string {
	return cmp.Diff(known(a), known(b), cmpopts.EquateEmpty())
}

func known(s *game.State) any {
	said := saidRows(s)
	said.Version, said.Contexts = s.Version, s.Contexts
	return struct {
		State game.State
		Rows  events.RowVersions
	}{said, s.Rows()}
}

func join(copies ...*game.State) *game.State {
	out := &game.State{Char: 42}
	for _, s := range copies {
		game.Join(out, s)
	}
	return out
}

// anyCopy is what somebody may know of the character: some of what was said,
// or dispatched, and the contexts of some moment.
func (w *world) anyCopy(t *rapid.T) *game.State {
	pool := slices.Clone(w.said)
	for _, scope := range events.Scopes() {
		pool = append(pool, game.Snapshot(w.state, scope, events.CauseDispatch)...)
	}
	out := &game.State{Char: 42}
	if len(pool) > 0 {
		for _, e := range rapid.SliceOfN(rapid.SampledFrom(pool), 0, 8).Draw(t, "events of a copy") {
			game.Join(out, game.FromEvent(&e))
		}
	}
	if len(w.shown) > 0 {
		shown := rapid.SampledFrom(w.shown).Draw(t, "contexts of a copy")
		game.Join(out, &game.State{Version: shown.Version, Contexts: shown})
	}
	return out
}

// In whatever order, grouping and number copies are joined, the result is one.
func TestJoinIsCommutativeAssociativeAndIdempotent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := play(t, 12)
		a, b, c := w.anyCopy(t), w.anyCopy(t), w.anyCopy(t)
		for law, sides := range map[string][2]*game.State{
			"a+b = b+a":         {join(a, b), join(b, a)},
			"(a+b)+c = a+(b+c)": {join(join(a, b), c), join(a, join(b, c))},
			"a+a = a":           {join(a, a), a},
			"a+b+a = a+b":       {join(a, b, a), join(a, b)},
			"a+0 = a":           {join(a, &game.State{}), a},
		} {
			if diff := same(sides[0], sides[1]); diff != "" {
				t.Fatalf("%s:\n%s", law, diff)
			}
		}
	})
}

// Delivered in any order and any number of times, the events of a history end
// in the state that they came from.
func TestAnyArrivalOfAHistoryEndsInItsState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := play(t, 20)
		arrivals := slices.Clone(w.said)
		if len(w.said) > 0 {
			arrivals = append(arrivals, rapid.SliceOfN(rapid.SampledFrom(w.said), 0, 10).Draw(t, "repeated")...)
		}
		inOrder, arrived := &game.State{Char: 42}, &game.State{Char: 42}
		for i := range w.said {
			game.Join(inOrder, game.FromEvent(&w.said[i]))
		}
		for _, e := range rapid.Permutation(arrivals).Draw(t, "arrivals") {
			game.Join(arrived, game.FromEvent(&e))
		}
		if diff := same(inOrder, arrived); diff != "" {
			t.Fatalf("(-in order +as arrived)\n%s", diff)
		}
		if diff := cmp.Diff(saidRows(w.state), saidRows(arrived), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-state +as arrived)\n%s", diff)
		}
	})
}

// A copy that is joined into another stays as it was.
func TestJoinLeavesTheOtherCopyAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := play(t, 12)
		a, b := w.anyCopy(t), w.anyCopy(t)
		before := clone(b)
		game.Join(a, b)
		if diff := cmp.Diff(before, b, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestLateCopyDoesNotOverwrite(t *testing.T) {
	session := uuid.New()
	at := func(v events.Version, quantity int64, status string) *game.State {
		return &game.State{
			Version: v, Vitals: &game.Vitals{Version: v}, Progress: game.Progress{XP: quantity, Version: v},
			Contexts:  game.Contexts{Version: v, Active: map[game.Context]uuid.UUID{game.ContextCombat: uuid.New()}},
			Items:     map[string]game.Item{"potion": {Quantity: quantity, Version: v}},
			Scenarios: map[string]game.Scenario{"old-road": {Status: status, Version: v}},
			Sessions:  map[uuid.UUID]game.Session{session: {Version: v, Round: int32(quantity)}},
		}
	}
	newer, late := at(20, 0, "completed"), at(19, 7, "active")
	got := join(newer, late)
	if diff := cmp.Diff(join(newer), got); diff != "" {
		t.Errorf("an older copy changed a newer one:\n%s", diff)
	}
	if got.Items["potion"].Quantity != 0 || got.Contexts.Active[game.ContextCombat] != newer.Contexts.Active[game.ContextCombat] {
		t.Errorf("the older copy is in %+v", got)
	}
}

// Each row is joined by itself: the newest of each may be in another copy.
func TestCopiesFillEachOther(t *testing.T) {
	a := &game.State{Version: 9, Progress: game.Progress{XP: 5, Version: 9}, Items: map[string]game.Item{"coin": {Quantity: 1, Version: 9}, "sword": {Quantity: 1, Version: 2}}}
	b := &game.State{Version: 8, Vitals: &game.Vitals{Version: 8}, Items: map[string]game.Item{"potion": {Quantity: 4, Version: 8}, "sword": {Quantity: 0, Version: 3}}}
	want := events.RowVersions{
		events.RowVitals: 8, events.RowProgress: 9, events.RowItem("coin"): 9, events.RowItem("potion"): 8, events.RowItem("sword"): 3,
	}
	got := join(a, b)
	if diff := cmp.Diff(want, got.Rows()); diff != "" || got.Version != 9 {
		t.Errorf("version %d (-want +got):\n%s", got.Version, diff)
	}
}

// The parts say what a commit has to expect of the copy that was loaded: they
// belong to it, not to what is joined to it.
func TestJoinKeepsThePartsOfTheLoadedCopy(t *testing.T) {
	a := &game.State{Parts: map[game.Part]events.Version{game.PartItems: 3}}
	game.Join(a, &game.State{Version: 9, Parts: map[game.Part]events.Version{game.PartItems: 9}})
	if a.Parts[game.PartItems] != 3 {
		t.Errorf("parts are %v", a.Parts)
	}
}

// An item in a dispatch of the whole bag counts at its own version, or it would
// overwrite what happened between.
func TestBagEventKnowsEachItemAtItsOwnVersion(t *testing.T) {
	e := events.New(42, 9, events.CauseDispatch, uuid.Nil, events.ScopeInventory, events.Inventory{
		Items: []events.ItemChange{{ItemID: "coin", Quantity: 1}, {ItemID: "sword", Quantity: 2, Version: 4}},
	})
	want := map[string]game.Item{"coin": {Quantity: 1, Version: 9}, "sword": {Quantity: 2, Version: 4}}
	if diff := cmp.Diff(want, game.FromEvent(&e).Items); diff != "" {
		t.Error(diff)
	}
}

// A map of contexts that came back older must not reopen what has ended.
func TestEndedSessionsAreClosed(t *testing.T) {
	session, other := uuid.New(), uuid.New()
	result := events.New(42, 9, events.CauseExplicit, session, events.ScopeCombat, events.Combat{Outcome: "victory"})
	ended := func(status string, in uuid.UUID) *game.State {
		return &game.State{Scenarios: map[string]game.Scenario{"old-road": {Status: status, SessionID: in}}}
	}
	for name, c := range map[string]struct {
		context game.Context
		copy    *game.State
		closed  bool
	}{
		"fight that has its result":     {game.ContextCombat, game.FromEvent(&result), true},
		"fight that goes on":            {game.ContextCombat, &game.State{Sessions: map[uuid.UUID]game.Session{session: {}}}, false},
		"fight that nobody knows":       {game.ContextCombat, &game.State{}, false},
		"scenario that goes on":         {game.ContextScenario, ended(game.StatusActive, session), false},
		"scenario that is paused":       {game.ContextScenario, ended(game.StatusPaused, session), true},
		"scenario that is completed":    {game.ContextScenario, ended(game.StatusCompleted, session), true},
		"scenario that was abandoned":   {game.ContextScenario, ended(game.StatusAbandoned, session), true},
		"scenario of another session":   {game.ContextScenario, ended(game.StatusActive, other), true},
		"scenario that nobody knows":    {game.ContextScenario, &game.State{}, true},
		"bag, of which nothing is said": {game.ContextInventory, game.FromEvent(&result), false},
	} {
		s := c.copy
		s.Contexts.Active = map[game.Context]uuid.UUID{c.context: session}
		s.CloseEnded(nil)
		if closed := len(s.Contexts.Active) == 0; closed != c.closed {
			t.Errorf("%s: closed %v, want %v", name, closed, c.closed)
		}
	}
	(&game.State{}).CloseEnded(nil) // a character that does nothing
}

// The map of contexts is the mirror's, too, and is compared with it afterwards.
func TestSavedFightIsClosedInItsOwnCopyOnly(t *testing.T) {
	fight := uuid.New()
	shown := map[game.Context]uuid.UUID{game.ContextCombat: fight}
	s := &game.State{
		Contexts: game.Contexts{Active: shown},
		Sessions: map[uuid.UUID]game.Session{fight: {Context: game.ContextCombat}},
	}
	s.CloseEnded(map[uuid.UUID]events.Version{fight: 1})
	if len(s.Contexts.Active) > 0 || len(s.Sessions) > 0 {
		t.Errorf("open after it was saved: %v, %v", s.Contexts.Active, s.Sessions)
	}
	if shown[game.ContextCombat] != fight {
		t.Error("the mirror's map was changed, too")
	}
}

// Two trades of one id, both in escrow, meet where copies are joined: the character keeps the
// one that it has sent, of which it may hold the items, whatever becomes of the other.
func TestJoinKeepsTheTradeThatTheCharacterHasSent(t *testing.T) {
	id := uuid.New()
	sent := events.Transfer{ID: id, From: 42, To: 7, Version: 10}
	for name, other := range map[string]events.Transfer{
		"in escrow":  {ID: id, From: 7, To: 42, Version: 20},
		"taken back": {ID: id, From: 7, To: 42, Version: 20, ToVersion: events.TakenBack},
		"completed":  {ID: id, From: 7, To: 9, Version: 20, ToVersion: 21},
	} {
		own := &game.State{Char: 42, Transfers: map[uuid.UUID]events.Transfer{id: sent}}
		theirs := &game.State{Char: 42, Transfers: map[uuid.UUID]events.Transfer{id: other}}
		for _, joined := range []*game.State{join(own, theirs), join(theirs, own)} {
			if got := joined.Transfers[id]; got.From != 42 {
				t.Errorf("the other is %s: kept %+v", name, got)
			}
		}
		var ties game.Ties
		ties.Add([]events.Transfer{sent})
		ties.Add([]events.Transfer{other})
		if got := ties.State(42).Transfers[id]; got.From != 42 {
			t.Errorf("the other is %s, told by events: kept %+v", name, got)
		}
	}
}

// A receiver that has itself sent a trade of the same id keeps the mark of that one, whatever
// the sender knows of the other.
func TestReceiverKeepsTheMarkOfTheTradeThatItHasSent(t *testing.T) {
	id, moved := uuid.New(), []events.Moved{{ItemID: "gem", Quantity: 1}}
	sent := events.Transfer{ID: id, From: 42, To: 7, Version: 10, Items: moved}
	other := events.Transfer{ID: id, From: 7, To: 9, Version: 20, Items: moved}
	s := &game.State{Char: 42, Transfers: map[uuid.UUID]events.Transfer{id: sent}}
	gift := events.Transfer{ID: uuid.New(), From: 7, To: 42, Version: 30, Items: moved}
	change, _, err := game.Receive(s, 40, gift, []events.Transfer{other, gift})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range change.Marks() {
		if row.Key == events.RowTransfer(id) && row.Version != sent.Row().Version {
			t.Errorf("marked at %d, want %d at most", row.Version, sent.Row().Version)
		}
	}
	for _, carried := range game.RestsOn(sent, []events.Transfer{other}) {
		if carried.ID == id && carried.From != 42 {
			t.Errorf("an event of its trade carries %+v", carried)
		}
	}
}
