package hot_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// A server that was restarted has forgotten the scripts.
func TestMarksAreClearedWhereTheFunctionsAreForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		var all []events.CharID
		rows := map[events.CharID]marks{}
		for range 20 {
			char := r.character()
			rows[char] = marks{events.RowVitals: r.commit(r.vitals(char, 1))[0].Version}
			all = append(all, char)
		}
		for _, node := range r.nodes {
			r.must(node.FunctionFlush(r.ctx).Err())
		}

		found, err := r.store.MarksOf(r.ctx, all)
		r.must(err)
		equal(t, "marks", found, rows)
		r.must(r.store.ClearMany(r.ctx, rows))

		if n, err := r.store.CountDirty(r.ctx); err != nil || n != 0 {
			t.Errorf("%d characters are dirty (%v)", n, err)
		}
		for _, node := range r.nodes {
			r.must(node.FunctionFlush(r.ctx).Err())
		}
		stay, err := r.store.EvictMany(r.ctx, all, time.Now())
		if err != nil || len(stay) > 0 {
			t.Errorf("%v stay (%v)", stay, err)
		}
	})
}

func TestSampleNamesCharactersByItsSeed(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		draw := func(n int) []events.CharID {
			chars, err := r.store.Sample(r.ctx, rand.New(rand.NewPCG(7, 0)), n)
			r.must(err)
			return chars
		}
		if chars := draw(5); len(chars) > 0 {
			t.Errorf("of nothing: %v", chars)
		}
		var all []events.CharID
		for range 30 {
			char := r.character()
			r.commit(r.vitals(char, 1))
			all = append(all, char)
		}
		chars := draw(300)
		equal(t, "the same seed", draw(300), chars)
		slices.Sort(chars)
		equal(t, "all of them, of so many draws", slices.Compact(chars), all)
		if n, err := r.store.Count(r.ctx); err != nil || n != 30 {
			t.Errorf("%d characters (%v), want 30", n, err)
		}
	})
}

// One that was seen since is not made to look idle for longer, or for less long.
func TestKeptIdleCharacterIsPassedOverOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		idle, busy := r.character(), r.character()
		r.commit(r.vitals(idle, 1))
		until := r.next().Time()
		seen := r.commit(r.vitals(busy, 1))[0].Version.Time()

		r.must(r.store.KeepIdle(r.ctx, []events.CharID{idle, busy, r.newcomer()}, until))

		chars, err := r.store.Idle(r.ctx, until.Add(-time.Microsecond), 10)
		found(t, "idle before", chars, err)
		chars, err = r.store.Idle(r.ctx, until, 10)
		found(t, "idle then", chars, err, idle)
		chars, err = r.store.Idle(r.ctx, seen, 10)
		found(t, "idle when the other is, too", chars, err, idle, busy)
	})
}

func TestUnsavedRowsAreCountedByScope(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		first, second := r.character(), r.character()
		oldest := r.commit(r.vitals(first, 1))[0].Version
		r.commit(r.vitals(second, 1))
		r.fight(second)

		unsaved, err := r.store.CountUnsaved(r.ctx, 10)
		r.must(err)
		equal(t, "rows", unsaved.Rows, map[events.Scope]int{events.ScopeVitals: 2, "": 1})
		if unsaved.Characters != 2 || unsaved.Looked != 2 || !unsaved.Oldest.Equal(oldest.Time()) {
			t.Errorf("%+v, want 2 characters, the oldest of %s", unsaved, oldest.Time())
		}
		if unsaved, err = r.store.CountUnsaved(r.ctx, 1); err != nil || unsaved.Characters != 2 || unsaved.Looked != 1 {
			t.Errorf("of one: %+v, %v", unsaved, err)
		}
	})
}
