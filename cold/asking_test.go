package cold_test

import (
	"sync"
	"testing"

	"github.com/savepoint-games/savepoint/cold"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// Characters that are asked for while reads are under way are read together. Each
// caller gets its own, and one that cannot be read is in nobody's way.
func TestCharactersAreReadTogether(t *testing.T) {
	t.Parallel()
	const characters, broken = 100, events.CharID(50)
	store, pool := newStore(t, 6)
	for _, statement := range []string{
		`INSERT INTO character_vitals (char_id, version, hp, energy, zone, x, y) SELECT n, 1, n, 1, 'harbor', 0, 0 FROM generate_series(1, 100) n`,
		`INSERT INTO transfers (transfer_id, from_char, to_char, version, to_version, items) VALUES (gen_random_uuid(), 50, 1, 1, 0, '{}')`,
	} {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	lock, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lock.Exec(t.Context(), "LOCK TABLE character_vitals IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for char := events.CharID(1); char <= characters; char++ {
		all.Go(func() {
			state, err := store.Load(t.Context(), char)
			switch {
			case char == broken:
				if err == nil {
					t.Errorf("character %d was read with a trade that is none", char)
				}
			case err != nil:
				t.Errorf("character %d: %v", char, err)
			case state.Char != char || state.Vitals.HP != int32(char):
				t.Errorf("asked for character %d, got %d with %d hp", char, state.Char, state.Vitals.HP)
			}
		})
	}
	stacktest.Eventually(t, "all others wait", func() bool { return store.Waiting() == characters-cold.MostAsked })
	if err := lock.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}
