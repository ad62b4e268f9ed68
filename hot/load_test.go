package hot_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// awkward is free-form data that a careless encoder would change.
const awkward = `{"a":"<b> & 'c' \"d\"","ü":"\u00e9 é 日本 🗡","\u2028":"` + "\u2028" + `","n":1.50e+1,"big":12345678901234567890,"a":null,"z":[],"\/":"\/"}`

// everyPart is a change that writes each part of a character: a fight that is
// over, an open scenario and an open bag.
func everyPart(char events.CharID, v events.Version) *game.Change {
	fight, road, bag := uuid.New(), uuid.New(), uuid.New()
	vitals := events.Vitals{HP: 80, Energy: 55, Location: events.Location{Zone: "<harbor> 日本", X: 0.1, Y: -1e-7}}
	loot := []events.ItemChange{{ItemID: "sword", Delta: 1, Quantity: 1}}
	scenario := game.Scenario{Step: 3, Status: game.StatusActive, Data: json.RawMessage(awkward), SessionID: road, Version: v}
	trade := events.Transfer{
		ID: uuid.New(), From: char, To: char + 1, Version: v, ToVersion: v + 7,
		Items: []events.Moved{{ItemID: "gone", Quantity: 2, ToQuantity: 9}},
	}
	result := events.New(char, v, events.CauseExplicit, fight, events.ScopeCombat, events.Combat{
		Outcome: "victory", StartedAt: v.Time().Add(-time.Minute), FinishedAt: v.Time(),
		Rounds: 7, XPGained: 120, XP: 1320, Loot: loot, Transfers: []events.Transfer{trade},
	})
	return &game.Change{
		Char: char, Version: v,
		Vitals:   &game.Vitals{Vitals: vitals, Version: v},
		Progress: &game.Progress{XP: 1320, Version: v},
		Items: map[string]game.Item{
			"sword": {Quantity: 1, Version: v}, "gone": {Quantity: 0, Version: v - 5},
			"a@b:c {ac:1} 🗡": {Quantity: math.MaxInt64, Version: v - 1},
		},
		Scenarios: map[string]game.Scenario{"old-road": scenario, "a:b\"c": {
			Status: game.StatusPaused, Data: json.RawMessage(`{}`), SessionID: uuid.New(), Version: v - 9,
		}},
		Contexts: map[game.Context]uuid.UUID{
			game.ContextCombat: uuid.Nil, game.ContextScenario: road, game.ContextInventory: bag,
		},
		Active: map[game.Context]uuid.UUID{game.ContextScenario: road, game.ContextInventory: bag},
		Sessions: map[uuid.UUID]game.Session{
			fight: {Context: game.ContextCombat, OpenedAt: v - 60e6, Version: v, Round: 7, Data: json.RawMessage(awkward), Result: &result},
			road:  {Context: game.ContextScenario, OpenedAt: v - 3, Version: v, ScenarioID: "old-road"},
			bag:   {Context: game.ContextInventory, OpenedAt: v, Version: v},
		},
		Transfers: map[uuid.UUID]events.Transfer{trade.ID: trade},
		Events: []events.StateChanged{
			events.New(char, v, events.CauseAction, uuid.Nil, events.ScopeVitals, vitals),
			game.ScenarioEvent(char, "old-road", scenario, events.CauseAction),
			result,
		},
	}
}

// asState is the state of a character to which only this change was ever made.
func asState(c *game.Change) game.State {
	s := game.State{
		Char: c.Char, Version: c.Version, Parts: make(map[game.Part]events.Version),
		Contexts: game.Contexts{Version: c.Version, Active: maps.Clone(c.Contexts)},
		Vitals:   c.Vitals, Progress: *c.Progress, Items: c.Items, Scenarios: c.Scenarios, Sessions: c.Sessions,
		Transfers: c.Transfers, Dirty: make(events.RowVersions),
	}
	maps.DeleteFunc(s.Contexts.Active, func(_ game.Context, id uuid.UUID) bool { return id == uuid.Nil })
	for _, part := range game.Parts {
		s.Parts[part] = c.Version
	}
	for _, row := range c.Marks() {
		s.Dirty[row.Key] = row.Version
	}
	return s
}

func TestLoadReturnsWhatWasCommitted(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		change := everyPart(char, r.next())

		r.commit(change)

		loaded := r.load(char)
		equal(t, "state", loaded.State, asState(change))
		if !loaded.Known || !loaded.Verified {
			t.Errorf("known %v, verified %v", loaded.Known, loaded.Verified)
		}
		if !loaded.LastSeen.Equal(change.Version.Time()) {
			t.Errorf("last seen %s, want the time of the commit %s", loaded.LastSeen, change.Version.Time())
		}
		if got := string(loaded.Scenarios["old-road"].Data); got != awkward {
			t.Errorf("free-form data has changed:\n got %s\nwant %s", got, awkward)
		}
	})
}

// Whatever texts and numbers are in a row, they come back.
func TestAnyRowComesBack(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		rapid.Check(t, func(rt *rapid.T) {
			r := r.in(rt)
			char := r.character()
			change := anyChange(rt, char, r.next())

			r.commit(change)

			equal(rt, "state", r.load(char).State, asState(change))
		})
	})
}

func anyChange(t *rapid.T, char events.CharID, v events.Version) *game.Change {
	text := rapid.StringN(1, 20, 128)
	version := rapid.Map(rapid.Int64Range(0, int64(v)-1), func(back int64) events.Version { return v - events.Version(back) })
	c := everyPart(char, v)
	c.Vitals.HP, c.Vitals.Energy = rapid.Int32Min(0).Draw(t, "hp"), rapid.Int32Min(0).Draw(t, "energy")
	c.Vitals.Location = events.Location{
		Zone: text.Draw(t, "zone"), X: rapid.Float64().Draw(t, "x"), Y: rapid.Float64().Draw(t, "y"),
	}
	c.Progress.XP = rapid.Int64Min(0).Draw(t, "xp")
	c.Items = rapid.MapOfN(text, rapid.Custom(func(t *rapid.T) game.Item {
		return game.Item{Quantity: rapid.Int64Min(0).Draw(t, "quantity"), Version: version.Draw(t, "version")}
	}), 1, 9).Draw(t, "items")
	c.Scenarios = rapid.MapOfN(text, rapid.Custom(func(t *rapid.T) game.Scenario {
		return game.Scenario{
			Step: rapid.Int32Min(0).Draw(t, "step"), Status: rapid.StringMatching("[a-z_-]{1,32}").Draw(t, "status"),
			Data: anyData(t), SessionID: uuid.New(), Version: version.Draw(t, "version"),
		}
	}), 1, 4).Draw(t, "scenarios")
	return c
}

func anyData(t *rapid.T) json.RawMessage {
	values := rapid.MapOf(rapid.String(), rapid.SliceOf(rapid.String())).Draw(t, "data")
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(rapid.Bool().Draw(t, "escaped"))
	if err := enc.Encode(values); err != nil {
		t.Fatal(err)
	}
	return json.RawMessage(bytes.TrimSpace(out.Bytes()))
}

// One write in Lua takes some thousand values at most; the bag of a hoarder has
// more.
func TestBagOfThousandsOfItemsComesBack(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		change := r.items(char)
		for i := range 5000 {
			change.Items[fmt.Sprintf("item-%d", i)] = game.Item{Quantity: int64(i), Version: change.Version}
		}
		change.Events = nil

		r.commit(change)

		equal(t, "items", r.load(char).Items, change.Items)
	})
}

// A part's version is of the newest change to it; the character's of the newest
// change to any.
func TestEachPartHasTheVersionOfItsNewestChange(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		first := everyPart(char, r.next())
		r.commit(first)

		second := r.vitals(char, 1)
		r.commit(second)
		third := r.items(char, game.ItemDelta{ItemID: "potion", Delta: 1})
		r.commit(third)

		loaded := r.load(char)
		equal(t, "parts", loaded.Parts, map[game.Part]events.Version{
			game.PartVitals: second.Version, game.PartItems: third.Version, game.PartContexts: first.Version,
			game.PartProgress: first.Version, game.PartScenarios: first.Version, game.PartSessions: first.Version,
		})
		if loaded.Version != third.Version {
			t.Errorf("version %d, want %d", loaded.Version, third.Version)
		}
		if got := loaded.Items["sword"].Version; got != first.Version {
			t.Errorf("an item that was not touched has version %d, want %d", got, first.Version)
		}
	})
}

func TestLoadReadsOnlyWhatIsWanted(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		change := everyPart(char, r.next())
		r.commit(change)
		all := asState(change)

		for name, want := range map[string]struct {
			want  game.Want
			state game.State
		}{
			"nothing":   {game.Want{}, game.State{}},
			"vitals":    {game.Want{Vitals: true}, game.State{Vitals: all.Vitals}},
			"progress":  {game.Want{Progress: true}, game.State{Progress: all.Progress}},
			"scenarios": {game.Want{Scenarios: true}, game.State{Scenarios: all.Scenarios}},
			"marks":     {game.Want{Dirty: true}, game.State{Dirty: all.Dirty}},
			"all items": {game.Want{AllItems: true}, game.State{Items: all.Items}},
			"two items, one of them unknown": {
				game.Want{Items: []string{"sword", "nothing"}},
				game.State{Items: map[string]game.Item{"sword": all.Items["sword"]}},
			},
		} {
			t.Run(name, func(t *testing.T) {
				loaded, err := r.store.Load(t.Context(), char, want.want)
				r.in(t).must(err)

				// The contexts and the versions always come.
				want.state.Char, want.state.Version, want.state.Parts, want.state.Contexts = all.Char, all.Version, all.Parts, all.Contexts
				if want.state.Items == nil {
					want.state.Items = map[string]game.Item{}
				}
				equal(t, "state", loaded.State, want.state)
			})
		}
	})
}

// What is likely saves a round trip where it is right, and changes nothing where
// it is old or wrong.
func TestSessionsAreTheOpenOnesWhateverIsLikely(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		change := everyPart(char, r.next())
		r.commit(change)
		// What has ended and is not saved is for those who ask for the marks, too.
		open := maps.Clone(change.Sessions)
		maps.DeleteFunc(open, func(_ uuid.UUID, s game.Session) bool { return s.Result != nil })
		// A record that nothing refers to any more.
		forgotten := uuid.New()
		r.must(r.raw.HSet(r.ctx, fmt.Sprintf("{ac:%d}:session:%s", char, forgotten), "context", "combat").Err())

		for name, shown := range map[string]map[game.Context]uuid.UUID{
			"nothing":     nil,
			"the truth":   change.Contexts,
			"a forgotten": {game.ContextCombat: forgotten},
			"an unknown":  {game.ContextScenario: uuid.New()},
		} {
			t.Run(name, func(t *testing.T) {
				loaded, err := r.store.Load(t.Context(), char, game.Want{Sessions: true, Likely: slices.Collect(maps.Values(shown))})
				r.in(t).must(err)

				equal(t, "sessions", loaded.Sessions, open)
			})
		}
	})
}

func TestUnknownCharacterIsLoadedAsUnknown(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.newcomer()

		loaded := r.load(char)

		if loaded.Known || loaded.Verified || loaded.Version != 0 || loaded.Vitals != nil {
			t.Errorf("loaded %+v", loaded)
		}
		if len(loaded.Items)+len(loaded.Scenarios)+len(loaded.Sessions)+len(loaded.Dirty)+len(loaded.Contexts.Active) > 0 {
			t.Errorf("loaded %+v", loaded.State)
		}
	})
}

func TestUnseenCommitLeavesWhenTheCharacterWasSeen(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		seen := r.vitals(char, 1)
		r.commit(seen)

		unseen := r.vitals(char, 2)
		unseen.Unseen = true
		r.commit(unseen)

		loaded := r.load(char)
		if !loaded.LastSeen.Equal(seen.Version.Time()) {
			t.Errorf("last seen %s, want %s", loaded.LastSeen, seen.Version.Time())
		}
		if loaded.Version != unseen.Version {
			t.Errorf("version %d, want %d", loaded.Version, unseen.Version)
		}
	})
}

// Somebody else's value is an error that says where it is, not a zero.
func TestUnreadableValueIsNamed(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		for key, fields := range map[string][2]string{
			"vitals":    {"hp", "many"},
			"items":     {"sword", "one"},
			"progress":  {"xp", "1.5"},
			"scenarios": {"old-road", "{"},
		} {
			t.Run(key, func(t *testing.T) {
				r := r.in(t)
				char := r.character()
				r.commit(everyPart(char, r.next()))
				key := fmt.Sprintf("{ac:%d}:%s", char, key)
				r.must(r.raw.HSet(r.ctx, key, fields[0], fields[1]).Err())

				_, err := r.store.Load(r.ctx, char, game.Everything)

				for _, part := range []string{key, fields[0], char.String()} {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("error %v does not name %q", err, part)
					}
				}
			})
		}
	})
}
