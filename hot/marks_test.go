package hot_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/hot"
)

type marks = events.RowVersions

func TestCommitMarksTheRowsOfItsEvents(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		if r.listed("dirty", char) {
			t.Error("listed as dirty before anything was changed")
		}

		bag := r.items(char, game.ItemDelta{ItemID: "potion", Delta: 2}, game.ItemDelta{ItemID: "rope", Delta: 1})
		r.commit(bag)
		fight := r.fight(char)
		won := r.win(char, fight, game.ItemDelta{ItemID: "sword", Delta: 1})

		equal(t, "marks", r.marks(char), marks{
			events.RowItem("potion"): bag.Version, events.RowItem("rope"): bag.Version,
			events.RowFight(fight): won.Version, events.RowProgress: won.Version, events.RowItem("sword"): won.Version,
			game.RowContexts: won.Version,
		})
		if !r.listed("dirty", char) {
			t.Error("not listed as dirty")
		}
	})
}

// A fight's progress lives in Redis only: nobody has to save it.
func TestChangeWithoutEventsMarksNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		fight := r.fight(char)
		r.mirrored(char)

		round, err := game.AdvanceCombat(&r.load(char).State, r.next(), game.Round{SessionID: fight, Round: 2})
		r.must(err)
		r.commit(round)

		equal(t, "marks", r.marks(char), marks{})
		if r.listed("dirty", char) {
			t.Error("listed as dirty")
		}
	})
}

func TestMarkStaysUntilItsVersionIsSaved(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		first := r.commit(r.vitals(char, 1))[0]
		second := r.commit(r.vitals(char, 2))[0]
		want := marks{events.RowVitals: second.Version}

		r.saved(first)
		equal(t, "marks after a lower version was saved", r.marks(char), want)
		if !r.listed("dirty", char) {
			t.Error("not listed as dirty any more")
		}

		r.saved(second)
		equal(t, "marks after the same version was saved", r.marks(char), marks{})
		if r.listed("dirty", char) {
			t.Error("still listed as dirty")
		}

		// Set again since: an old event that is saved once more clears nothing.
		third := r.commit(r.vitals(char, 3))[0]
		r.saved(first, second)
		equal(t, "marks after older versions were saved again", r.marks(char), marks{events.RowVitals: third.Version})

		higher := third
		higher.Version = r.next()
		r.saved(higher)
		equal(t, "marks after a higher version was saved", r.marks(char), marks{})
	})
}

// The potion's event is lost, the sword's is saved. The scope is newer in
// PostgreSQL than the potion, and the potion is not saved all the same.
func TestSavedSwordLeavesTheUnsavedPotion(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		potion := r.commit(r.items(char, game.ItemDelta{ItemID: "potion", Delta: 1}))[0]
		sword := r.commit(r.items(char, game.ItemDelta{ItemID: "sword", Delta: 1}))[0]

		r.saved(sword)

		equal(t, "marks", r.marks(char), marks{events.RowItem("potion"): potion.Version})
		if !r.listed("dirty", char) {
			t.Error("not listed as dirty")
		}

		// A save of the whole bag carries the potion at its own version.
		r.saved(game.Snapshot(&r.load(char).State, events.ScopeInventory, events.CauseCleanup)...)
		equal(t, "marks", r.marks(char), marks{})
	})
}

// One batch holds many characters, and many events of one.
func TestSavedBatchClearsEachCharactersMarks(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		var batch []events.StateChanged
		var all []events.CharID
		for range 2 * hot.FewMarks {
			char := r.character()
			all = append(all, char)
			batch = append(batch, r.commit(r.vitals(char, 1))...)
			batch = append(batch, r.commit(r.items(char, game.ItemDelta{ItemID: "potion", Delta: 1}))...)
		}
		late := r.commit(r.vitals(all[0], 2))[0]

		r.saved(batch...)

		for _, char := range all {
			want := marks{}
			if char == all[0] {
				want[events.RowVitals] = late.Version
			}
			equal(t, fmt.Sprint("marks of ", char), r.marks(char), want)
		}
		if n, err := r.store.CountDirty(r.ctx); err != nil || n != 1 {
			t.Errorf("%d characters are dirty (%v), want 1", n, err)
		}
	})
}

// The record of an ended fight is the only copy of its result until a saver has
// it.
func TestEndedFightGoesWhenItsEventIsSaved(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		fight := r.fight(char)
		won := r.win(char, fight, game.ItemDelta{ItemID: "sword", Delta: 1})
		next := r.fight(char) // is open
		record := fmt.Sprintf("{ac:%d}:session:", char)

		// Neither a save of its rows by other events nor one of another fight.
		vitals := r.commit(r.vitals(char, 1))
		r.saved(vitals...)
		r.saved(r.commit(r.items(char, game.ItemDelta{ItemID: "sword", Delta: 1}))...)
		other := won
		other.SessionID, other.Version = next, r.next()
		r.saved(other)
		if keys := r.keys(record); len(keys) != 2 {
			t.Fatalf("records are %v, want those of two fights", keys)
		}
		if got := r.load(char).Sessions[fight].Result; got == nil || got.ID != won.ID {
			t.Errorf("the result is %+v, want %+v", got, won)
		}

		r.saved(won)

		equal(t, "records", r.keys(record), []string{record + next.String()})
		if _, marked := r.marks(char)[events.RowFight(fight)]; marked {
			t.Error("the fight is still marked")
		}
	})
}

// Cleanup finds the rows saved without their events.
func TestClearedFightGoesToo(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		fight := r.fight(char)
		won := r.win(char, fight)

		r.must(r.store.Clear(r.ctx, map[events.CharID]marks{char: {events.RowFight(fight): won.Version - 1, events.RowProgress: won.Version}}))
		if _, marked := r.marks(char)[events.RowFight(fight)]; !marked {
			t.Error("the fight is not marked, and was saved at a lower version")
		}
		if len(r.load(char).Sessions) != 1 {
			t.Error("the fight's record is gone, and was saved at a lower version")
		}

		r.must(r.store.Clear(r.ctx, map[events.CharID]marks{char: {events.RowFight(fight): won.Version}}))
		if keys := r.keys(fmt.Sprintf("{ac:%d}:session:", char)); len(keys) > 0 {
			t.Errorf("left are %v", keys)
		}
		equal(t, "marks", r.marks(char), marks{game.RowContexts: won.Version})
	})
}

// The naive twin of the marks: a row is dirty as long as the newest version
// that was committed is above every version that was saved.
type twin struct {
	committed, saved marks
	history          []events.StateChanged
}

func (w *twin) dirty() marks {
	dirty := maps.Clone(w.committed)
	maps.DeleteFunc(dirty, func(row events.RowKey, v events.Version) bool { return v <= w.saved[row] })
	return dirty
}

func (w *twin) commit(r *rig, c *game.Change) {
	r.commit(c)
	for _, row := range c.Marks() {
		w.committed[row.Key] = row.Version
	}
	w.history = append(w.history, c.Events...)
}

func (w *twin) save(r *rig, batch []events.StateChanged) {
	r.saved(batch...)
	for i := range batch {
		for _, row := range batch[i].Rows() {
			w.saved[row.Key] = max(w.saved[row.Key], row.Version)
		}
	}
}

func TestRowIsMarkedExactlyWhileItsNewestVersionIsNotSaved(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		rapid.Check(t, func(rt *rapid.T) {
			r := r.in(rt)
			char := r.character()
			w := &twin{committed: marks{}, saved: marks{}}
			item := rapid.SampledFrom([]string{"potion", "sword", "rope", "gem"})
			var open uuid.UUID
			rt.Repeat(map[string]func(*rapid.T){
				"vitals": func(*rapid.T) { w.commit(r, r.vitals(char, 1)) },
				"items": func(rt *rapid.T) {
					var deltas []game.ItemDelta
					for _, id := range rapid.SliceOfNDistinct(item, 1, 3, rapid.ID).Draw(rt, "items") {
						deltas = append(deltas, game.ItemDelta{ItemID: id, Delta: 1})
					}
					w.commit(r, r.items(char, deltas...))
				},
				"travel": func(rt *rapid.T) {
					road := rapid.SampledFrom([]string{"old-road", "tower"}).Draw(rt, "scenario")
					open = uuid.Nil
					w.commit(r, r.enter(char, game.Entry{
						Context: game.ContextScenario, SessionID: uuid.New(), ScenarioID: road, Force: true,
					}))
				},
				"fight": func(*rapid.T) {
					open = uuid.New()
					w.commit(r, r.enter(char, game.Entry{Context: game.ContextCombat, SessionID: open, Force: true}))
				},
				"win": func(rt *rapid.T) {
					if open == uuid.Nil {
						rt.Skip("no fight")
					}
					loot := game.ItemDelta{ItemID: item.Draw(rt, "loot"), Delta: 1}
					c, err := game.FinishCombat(&r.load(char).State, r.next(), open, game.Result{Outcome: "victory", XP: 1, Loot: []game.ItemDelta{loot}})
					r.must(err)
					open = uuid.Nil
					w.commit(r, c)
				},
				"saved": func(rt *rapid.T) {
					if len(w.history) == 0 {
						rt.Skip("no events")
					}
					w.save(r, rapid.SliceOfN(rapid.SampledFrom(w.history), 1, 5).Draw(rt, "batch"))
				},
				"bag saved": func(*rapid.T) {
					w.save(r, game.Snapshot(&r.load(char).State, events.ScopeInventory, events.CauseDispatch))
				},
				"mirrored": func(*rapid.T) {
					r.mirrored(char)
					w.saved[game.RowContexts] = w.committed[game.RowContexts]
				},
				"": func(rt *rapid.T) {
					equal(rt, "marks", r.marks(char), w.dirty())
					if listed := r.listed("dirty", char); listed != (len(w.dirty()) > 0) {
						rt.Errorf("listed as dirty: %v, with marks %v", listed, w.dirty())
					}
					for row := range w.committed {
						if id, ok := row.Fight(); ok && r.holdsResult(char, id) != (w.dirty()[row] > 0) {
							rt.Errorf("%s is held: %v, with marks %v", row, r.holdsResult(char, id), w.dirty())
						}
					}
				},
			})
		})
	})
}

// holdsResult reports whether Redis holds the result of a fight.
func (r *rig) holdsResult(char events.CharID, fight uuid.UUID) bool {
	r.t.Helper()
	has, err := r.raw.HExists(r.ctx, fmt.Sprintf("{ac:%d}:session:%s", char, fight), "result").Result()
	r.must(err)
	return has
}

// found is what a list of the store holds, in order of the characters.
func found(t tb, what string, chars []events.CharID, err error, want ...events.CharID) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(chars)
	slices.Sort(want)
	if !slices.Equal(chars, want) {
		t.Errorf("%s: %v, want %v", what, chars, want)
	}
}

func TestClearOfNothingDoesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.newcomer()
		r.unchanged(func() {
			r.must(r.store.Saved(r.ctx, nil))
			r.must(r.store.Clear(r.ctx, map[events.CharID]marks{char: {events.RowVitals: 1}}))
		})
	})
}
