package hot_test

import (
	"slices"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

func TestOverdueListsThoseDirtySinceBefore(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		clean, first, second := r.character(), r.character(), r.character()
		r.saved(r.commit(r.vitals(clean, 1))...)
		before := r.next()
		oldest := r.commit(r.vitals(first, 1))[0]
		between := r.next()
		newest := r.commit(r.vitals(second, 1))[0]
		r.commit(r.vitals(first, 2)) // is dirty since oldest all the same

		for _, c := range []struct {
			at   events.Version
			want []events.CharID
		}{
			{before, nil}, {oldest.Version, []events.CharID{first}}, {between, []events.CharID{first}},
			{newest.Version, []events.CharID{first, second}},
		} {
			chars, err := r.store.Overdue(r.ctx, c.at.Time(), 10)
			found(t, "overdue", chars, err, c.want...)
		}
		chars, err := r.store.Overdue(r.ctx, newest.Version.Time(), 1)
		r.must(err)
		if len(chars) != 1 {
			t.Errorf("limit 1 gives %v", chars)
		}
	})
}

func TestPostponedCharacterIsPassedOverAndStaysDirty(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char, clean := r.character(), r.character()
		e := r.commit(r.vitals(char, 1))[0]
		until := r.next().Time()

		r.must(r.store.PostponeOverdue(r.ctx, map[events.CharID]time.Time{char: until, clean: until}))

		chars, err := r.store.Overdue(r.ctx, e.Version.Time(), 10)
		found(t, "overdue before", chars, err)
		chars, err = r.store.Overdue(r.ctx, until, 10)
		found(t, "overdue then", chars, err, char)
		equal(t, "marks", r.marks(char), marks{events.RowVitals: e.Version})
		if n, err := r.store.CountDirty(r.ctx); err != nil || n != 1 {
			t.Errorf("%d characters are dirty (%v), want 1", n, err)
		}
		r.saved(e)
		if r.listed("dirty", char) {
			t.Error("still listed as dirty after the save")
		}
	})
}

func TestLostAreThoseInAContextThatNobodySees(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		lost, seen, left, walker := r.character(), r.character(), r.character(), r.character()
		r.fight(lost)
		r.fight(seen)
		r.win(left, r.fight(left))
		r.commit(r.vitals(walker, 1))
		at := r.next()
		r.commit(r.vitals(seen, 1)) // a sign of life, later

		chars, err := r.store.Lost(r.ctx, at.Time(), 10)
		found(t, "lost", chars, err, lost)

		// The one that was seen is looked at again when that is long ago.
		chars, err = r.store.Lost(r.ctx, r.next().Time(), 10)
		found(t, "lost later", chars, err, lost, seen)
	})
}

// Those who were seen do not stand in the way of those who are lost, however
// small the limit is.
func TestSeenCharactersDoNotHideLostOnes(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		var seen []events.CharID
		for range 5 {
			char := r.character()
			r.fight(char)
			seen = append(seen, char)
		}
		lost := r.character()
		r.fight(lost)
		at := r.next()
		for _, char := range seen {
			r.commit(r.vitals(char, 1))
		}

		var all []events.CharID
		for range len(seen) + 1 {
			chars, err := r.store.Lost(r.ctx, at.Time(), 1)
			r.must(err)
			all = append(all, chars...)
		}
		if !slices.Contains(all, lost) {
			t.Errorf("%d rounds found %v, not the lost %d", len(seen)+1, all, lost)
		}
	})
}

func TestIdleAreThoseThatNobodySees(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		idle, busy := r.character(), r.character()
		last := r.commit(r.vitals(idle, 1))[0]
		between := r.next()
		r.commit(r.vitals(busy, 1))
		unseen := r.vitals(idle, 2)
		unseen.Unseen = true
		r.commit(unseen)

		chars, err := r.store.Idle(r.ctx, last.Version.Time(), 10)
		found(t, "idle", chars, err, idle)
		chars, err = r.store.Idle(r.ctx, between.Time(), 10)
		found(t, "idle", chars, err, idle)
		chars, err = r.store.Idle(r.ctx, r.next().Time(), 10)
		found(t, "idle later", chars, err, idle, busy)
	})
}

func TestEachYieldsEveryCharacter(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		var want []events.CharID
		for range 50 {
			char := r.newcomer()
			want = append(want, char)
			r.must(r.store.CommitBlind(r.ctx, r.vitals(char, 1), game.Request{}))
		}

		var got []events.CharID
		err := r.store.Each(r.ctx, func(char events.CharID) bool {
			got = append(got, char)
			return true
		})
		found(t, "each", got, err, want...)

		calls := 0
		r.must(r.store.Each(r.ctx, func(events.CharID) bool { calls++; return calls < 3 }))
		if calls != 3 {
			t.Errorf("%d calls, want it to stop after 3", calls)
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

		r.must(r.store.PostponeIdle(r.ctx, []events.CharID{idle, busy, r.newcomer()}, until))

		chars, err := r.store.Idle(r.ctx, until.Add(-time.Microsecond), 10)
		found(t, "idle before", chars, err)
		chars, err = r.store.Idle(r.ctx, until, 10)
		found(t, "idle then", chars, err, idle)
		chars, err = r.store.Idle(r.ctx, seen, 10)
		found(t, "idle when the other is, too", chars, err, idle, busy)
	})
}
