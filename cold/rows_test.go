package cold_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// Each row of every kind is found, alone and with the others; what is not named,
// or is another character's, is not.
func TestRowsAreThoseThatAreNamed(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t, 4)
	fight, done, escrow := uuid.New(), uuid.New(), uuid.New()
	for _, statement := range []string{
		`INSERT INTO character_vitals (char_id, version, hp, energy, zone, x, y) VALUES (1, 11, 1, 1, 'harbor', 0, 0), (2, 12, 1, 1, 'harbor', 0, 0)`,
		`INSERT INTO character_progress (char_id, version, xp) VALUES (1, 13, 5), (2, 14, 5)`,
		`INSERT INTO items (char_id, item_id, version, quantity) VALUES (1, 'potion', 15, 7), (1, 'a:b', 16, 0), (2, 'potion', 17, 1)`,
		`INSERT INTO scenario_progress (char_id, scenario_id, version, session_id, step, status, data) VALUES (1, 'old:road', 18, gen_random_uuid(), 1, 'active', '{}')`,
		`INSERT INTO combat_history (session_id, char_id, version, outcome, started_at, finished_at, rounds, xp_gained, loot) VALUES ('` + fight.String() + `', 1, 19, 'victory', now(), now(), 1, 1, '[]')`,
		`INSERT INTO transfers (transfer_id, from_char, to_char, version, to_version, items) VALUES ('` + done.String() + `', 1, 2, 20, 21, '[]'), ('` + escrow.String() + `', 1, 2, 22, 0, '[]')`,
	} {
		if _, err := pool.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	completed := events.Transfer{ID: done, From: 1, To: 2, Version: 20, ToVersion: 21}
	saved := map[events.CharID]events.RowVersions{
		1: {
			events.RowVitals: 11, events.RowProgress: 13, events.RowItem("potion"): 15, events.RowItem("a:b"): 16,
			events.RowScenario("old:road"): 18, events.RowFight(fight): 19, events.RowTransfer(done): completed.Row().Version,
		},
		2: {events.RowVitals: 12, events.RowProgress: 14, events.RowItem("potion"): 17, events.RowTransfer(done): completed.Row().Version, events.RowTransfer(escrow): 22},
		3: {},
	}
	check := func(wanted map[events.CharID]events.RowVersions) {
		t.Helper()
		want := make(map[events.CharID]events.RowVersions)
		for char, rows := range wanted {
			want[char] = make(events.RowVersions)
			for row := range rows {
				if version, ok := saved[char][row]; ok {
					want[char][row] = version
				}
			}
		}
		got, err := store.Rows(t.Context(), wanted)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v: %v (-want +got)\n%s", wanted, err, diff)
		}
	}
	check(nil)
	all := make(map[events.CharID]events.RowVersions)
	for char := range saved {
		all[char] = events.RowVersions{
			events.RowItem("rope"): 1, events.RowItem("b"): 1, events.RowScenario("road"): 1, events.RowFight(uuid.New()): 1,
			events.RowTransfer(uuid.New()): 1, "contexts": 1,
		}
		for row := range saved[char] {
			all[char][row] = 1
		}
		for row := range all[char] {
			check(map[events.CharID]events.RowVersions{char: {row: 1}})
		}
	}
	all[1][events.RowTransfer(escrow)] = 1 // its sender is not done with it
	check(all)
}
