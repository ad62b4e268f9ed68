package hot_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// What must not be forgotten stays whole.
func TestEvictRefusesWhoIsStillNeeded(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		dirty, fighting, seen := r.character(), r.character(), r.character()
		r.commit(r.vitals(dirty, 1))
		r.fight(fighting)
		r.mirrored(fighting)
		r.saved(r.commit(r.vitals(seen, 1))...)
		before := r.load(seen).LastSeen.Add(-time.Microsecond)
		later := r.next().Time()

		for name, c := range map[string]struct {
			char events.CharID
			at   time.Time
		}{
			"dirty": {dirty, later}, "in a context": {fighting, later}, "seen since": {seen, before},
			"unknown": {r.newcomer(), later},
		} {
			t.Run(name, func(t *testing.T) {
				r := r.in(t)
				r.unchanged(func() {
					gone, err := r.store.Evict(r.ctx, c.char, c.at)
					r.must(err)
					if gone {
						t.Error("reported as gone")
					}
				})
			})
		}
	})
}

// Nobody has seen it since, but what it got is as new as what a player does.
func TestEvictRefusesWhoWasGivenSomething(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		r.saved(r.commit(r.vitals(char, 1))...)
		before := r.next().Time()
		gift := r.vitals(char, 2)
		gift.Unseen = true
		r.saved(r.commit(gift)...)

		gone, err := r.store.Evict(r.ctx, char, before)
		r.must(err)

		if gone || !r.load(char).Known {
			t.Error("gone")
		}
		chars, err := r.store.Idle(r.ctx, before, 10)
		found(t, "idle", chars, err)
		if gone, err = r.store.Evict(r.ctx, char, gift.Version.Time()); err != nil || !gone {
			t.Errorf("still there: %v", err)
		}
	})
}

func TestEvictedCharacterLeavesOnlyItsAnswers(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		change := everyPart(char, r.next())
		r.must(r.store.Commit(r.ctx, change, game.Request{Key: "k", Record: "first"}))
		end := game.Abandon(&r.load(char).State, r.next())
		r.commit(end)
		r.saved(append(change.Events, end.Events...)...)
		r.mirrored(char)

		gone, err := r.store.Evict(r.ctx, char, end.Version.Time())
		r.must(err)

		if !gone {
			t.Error("reported as still there")
		}
		equal(t, "keys", r.keys(""), []string{fmt.Sprintf("{ac:%d}:requests", char)})
		wantReplay(t, r.store.Commit(r.ctx, r.vitals(char, 1), game.Request{Key: "k"}), "first")
		if loaded := r.load(char); loaded.Known {
			t.Errorf("still known as %+v", loaded)
		}
	})
}
