package game_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// values are what a player sees of a character.
type values struct {
	Vitals    events.Vitals
	XP        int64
	Items     map[string]int64
	Scenarios map[string]string
}

func valuesOf(s *game.State) values {
	v := values{XP: s.Progress.XP, Items: map[string]int64{}, Scenarios: map[string]string{}}
	if s.Vitals != nil {
		v.Vitals = s.Vitals.Vitals
	}
	for id, item := range s.Items {
		if item.Quantity > 0 {
			v.Items[id] = item.Quantity
		}
	}
	for id, p := range s.Scenarios {
		if p.Status == game.StatusActive {
			p.Status = game.StatusPaused
		}
		if fresh := p.Step == 0 && p.Status == game.StatusAbandoned && string(p.Data) == "{}"; !fresh {
			v.Scenarios[id] = p.Status + string(p.Data) + string(rune('0'+p.Step))
		}
	}
	return v
}

func pastOf(now *game.State, at events.Version, history []events.StateChanged, kept events.Version) *game.Past {
	l := game.NewLookback(now.Char, at)
	for i := range history {
		l.Add(&history[i])
	}
	return l.Past(now, kept)
}

// restore ends what is open and gives the character back what it was.
func (w *world) restore(t *rapid.T, at events.Version, history []events.StateChanged) *game.Change {
	w.abandon(t)
	change, err := game.Restore(w.state, w.state.Version+1, pastOf(w.state, at, history, 0), game.Restoration{})
	if err != nil {
		t.Fatalf("not restored: %v", err)
	}
	if change != nil {
		w.check(t, change, w.state.Version+1)
		w.note(t, change)
		w.state = apply(w.state, change)
	}
	return change
}

// atSomeMoment lives on after a moment, and returns what the character was then. It may be
// restored once before, and once after.
func atSomeMoment(t *rapid.T) (w *world, at events.Version, then values) {
	w = newWorld()
	live := func(when string) {
		first := w.state.Version
		for range rapid.IntRange(0, 20).Draw(t, "actions "+when) {
			w.act(t)
		}
		if rapid.Bool().Draw(t, "restored "+when) {
			w.restore(t, events.Version(rapid.Int64Range(int64(first), int64(w.state.Version)).Draw(t, "as at")), w.said)
			w.act(t)
		}
	}
	live("before")
	at, then = w.state.Version, valuesOf(w.state)
	hadVitals := w.state.Vitals != nil
	live("after")
	w.abandon(t)
	if now := valuesOf(w.state); !hadVitals {
		then.Vitals = now.Vitals // no event takes vitals away
	}
	return w, at, then
}

// Whatever a character has lived through since, it gets back what it was, from its events
// in any order and any number of times; and so do those who read the events.
func TestRestoredCharacterIsAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, at, then := atSomeMoment(t)
		history := rapid.Permutation(append(slices.Clone(w.said), w.said...)).Draw(t, "order")
		w.restore(t, at, history)
		if diff := cmp.Diff(then, valuesOf(w.state), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("not as it was (-was +restored):\n%s", diff)
		}
		for id, item := range w.state.Items {
			if item.Quantity != w.sums[id] {
				t.Fatalf("%d of %s, the sum of all deltas is %d", item.Quantity, id, w.sums[id])
			}
		}
		if diff := cmp.Diff(then, valuesOf(w.joined), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("the events tell another story (-was +events):\n%s", diff)
		}
		if again := w.restore(t, at, w.said); again != nil {
			t.Fatalf("the second time it changes %+v", again)
		}
	})
}

// Where the stream has dropped the oldest events, each row is either as it was or named as
// unknown: never something else.
func TestRestoreGuessesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, at, then := atSomeMoment(t)
		dropped := rapid.IntRange(0, len(w.said)).Draw(t, "dropped")
		kept := w.state.Version + 1 // nothing is
		if dropped < len(w.said) {
			kept = w.said[dropped].Version
		}
		past := pastOf(w.state, at, w.said[dropped:], kept)
		for _, row := range past.Unknown {
			switch row.Scope() {
			case events.ScopeVitals:
				then.Vitals = events.Vitals{}
			case events.ScopeCombat:
				then.XP = 0
			case events.ScopeInventory:
				delete(then.Items, row.Name())
			case events.ScopeScenario:
				delete(then.Scenarios, row.Name())
			}
		}
		if diff := cmp.Diff(then, valuesOf(past.State), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("not as it was, and not said to be unknown (-was +past):\n%s", diff)
		}
		if _, err := game.Restore(w.state, w.state.Version+1, past, game.Restoration{}); (err != nil) != (len(past.Unknown) > 0) {
			t.Fatalf("unknown are %v, and the error is %v", past.Unknown, err)
		}
	})
}

func TestRestoreOfSomePartsLeavesTheOthers(t *testing.T) {
	t.Parallel()
	now := &game.State{Char: 1, Version: 30, Vitals: &game.Vitals{Vitals: events.Vitals{HP: 1}, Version: 30}, Items: map[string]game.Item{"gem": {Quantity: 9, Version: 20}}}
	was := events.New(1, 10, events.CauseAction, uuid.Nil, events.ScopeVitals, events.Vitals{HP: 80})
	past := pastOf(now, 15, []events.StateChanged{was}, 1)

	if _, err := game.Restore(now, 40, past, game.Restoration{}); !errors.As(err, new(*game.UnknownPastError)) {
		t.Errorf("a gem that nobody knows the past of: %v", err)
	}
	change, err := game.Restore(now, 40, past, game.Restoration{Parts: []game.Part{game.PartVitals}})
	if err != nil || change.Vitals.HP != 80 || len(change.Items) > 0 {
		t.Errorf("the vitals alone: %+v, %v", change, err)
	}
}

// Items that were traded since would be doubled.
func TestRestoreDoublesNothingByItself(t *testing.T) {
	t.Parallel()
	trade := events.Transfer{ID: uuid.New(), From: 1, To: 2, Version: 20, ToVersion: 21, Items: []events.Moved{{ItemID: "gem", Quantity: 2, ToQuantity: 2}}}
	gave := game.TransferEvent(trade, 1, []events.Transfer{trade})
	now := game.FromEvent(&gave)
	past := pastOf(now, 15, []events.StateChanged{gave}, 1)

	if _, err := game.Restore(now, 40, past, game.Restoration{}); !errors.As(err, new(*game.TradedError)) {
		t.Errorf("items were traded: %v", err)
	}
	change, err := game.Restore(now, 40, past, game.Restoration{DespiteTrades: true})
	if err != nil || change.Items["gem"].Quantity != 2 {
		t.Errorf("despite the trade: %+v, %v", change, err)
	}
}

func TestRestoreRefusesWhoIsInAContext(t *testing.T) {
	t.Parallel()
	now := &game.State{Char: 1, Contexts: game.Contexts{Active: map[game.Context]uuid.UUID{game.ContextCombat: uuid.New()}}}
	if _, err := game.Restore(now, 40, pastOf(now, 15, nil, 0), game.Restoration{}); !errors.Is(err, game.ErrInContext) {
		t.Errorf("a fight is open: %v", err)
	}
}

// Of a row that the events contradict each other about nobody knows what it was: what lies
// between was answered hot, and overtaken before it was published.
func TestRestoreSeesThatAnEventIsMissing(t *testing.T) {
	t.Parallel()
	bag := func(v events.Version, delta, quantity int64) events.StateChanged {
		return events.New(1, v, events.CauseAction, uuid.Nil, events.ScopeInventory, events.Inventory{Items: []events.ItemChange{{ItemID: "gem", Delta: delta, Quantity: quantity}}})
	}
	fight := func(v events.Version, gained, xp int64) events.StateChanged {
		return events.New(1, v, events.CauseExplicit, uuid.New(), events.ScopeCombat, events.Combat{Outcome: "victory", XPGained: gained, XP: xp})
	}
	now := &game.State{Char: 1, Items: map[string]game.Item{"gem": {Quantity: 4, Version: 20}}, Progress: game.Progress{XP: 40, Version: 25}}

	past := pastOf(now, 15, []events.StateChanged{bag(10, 5, 5), bag(20, 1, 4), fight(8, 10, 10), fight(25, 10, 40)}, 1)
	if want := []events.RowKey{events.RowProgress, events.RowItem("gem")}; !slices.Equal(past.Unknown, want) {
		t.Errorf("unknown are %v, want %v", past.Unknown, want)
	}
	past = pastOf(now, 15, []events.StateChanged{bag(10, 5, 5), bag(20, -1, 4), fight(8, 10, 30), fight(25, 10, 40)}, 1)
	if len(past.Unknown) > 0 || past.State.Items["gem"].Quantity != 5 || past.State.Progress.XP != 30 {
		t.Errorf("unknown are %v, of %+v", past.Unknown, past.State)
	}
}

// What a dispatch has said first does not hide what the change itself says of before.
func TestRestoreHearsAChangeThatWasDispatchedFirst(t *testing.T) {
	t.Parallel()
	now := &game.State{Char: 1, Items: map[string]game.Item{"gem": {Quantity: 4, Version: 20}}}
	dispatched := game.Snapshot(now, events.ScopeInventory, events.CauseDispatch)
	change := events.New(1, 20, events.CauseAction, uuid.Nil, events.ScopeInventory, events.Inventory{Items: []events.ItemChange{{ItemID: "gem", Delta: 1, Quantity: 4}}})

	if past := pastOf(now, 15, append(dispatched, change), 1); past.State.Items["gem"].Quantity != 3 {
		t.Errorf("unknown are %v, of %+v", past.Unknown, past.State)
	}
}

// Who has traded all week reads an answer, not a list.
func TestRefusedRestoreNamesAFew(t *testing.T) {
	t.Parallel()
	trades := make([]events.Transfer, 500)
	err := &game.TradedError{Trades: trades}
	if text := err.Error(); len(text) > 1000 || !strings.Contains(text, " and 490 more") {
		t.Error(text)
	}
	rows := &game.UnknownPastError{Rows: []events.RowKey{events.RowVitals, events.RowItem("gem")}}
	if text := rows.Error(); !strings.HasSuffix(text, ": vitals, item:gem") {
		t.Error(text)
	}
}
