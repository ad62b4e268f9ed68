package hot_test

import (
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

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
