package hot_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/events"
)

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
