package cold_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/cold"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func newStore(t *testing.T, conns int32) (*cold.Store, *pgxpool.Pool) {
	t.Helper()
	pool, err := cold.OpenPool(t.Context(), stacktest.Database(t), conns)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return cold.New(pool), pool
}

// setAll writes every kind of row of character 1 at one version.
func setAll(ctx context.Context, pool *pgxpool.Pool, version int64) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var all error
		for _, statement := range []string{
			`INSERT INTO character_vitals (char_id, version, hp, energy, zone, x, y) VALUES (1, $1, 1, 1, 'harbor', 0, 0)
			 ON CONFLICT (char_id) DO UPDATE SET version = EXCLUDED.version`,
			`INSERT INTO character_progress (char_id, version, xp) VALUES (1, $1, 5)
			 ON CONFLICT (char_id) DO UPDATE SET version = EXCLUDED.version`,
			`INSERT INTO items (char_id, item_id, version, quantity) VALUES (1, 'potion', $1, 7)
			 ON CONFLICT (char_id, item_id) DO UPDATE SET version = EXCLUDED.version`,
		} {
			_, err := tx.Exec(ctx, statement, version)
			all = errors.Join(all, err)
		}
		return all
	})
}

// A character is read as it was at one moment, while savers write it.
func TestCharacterIsReadAsOfOneMoment(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t, 4)
	if err := setAll(t.Context(), pool, 1); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for version := int64(2); ; version++ {
			select {
			case <-done:
				return
			default:
			}
			if err := setAll(context.Background(), pool, version); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writer.Wait()
	defer close(done)
	moments := make(map[events.Version]bool)
	for len(moments) < 200 {
		state, err := store.Load(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		at := state.Vitals.Version
		if state.Progress.Version != at || state.Items["potion"] != (game.Item{Quantity: 7, Version: at}) {
			t.Fatalf("vitals are of version %d, progress %v, items %v", at, state.Progress, state.Items)
		}
		moments[at] = true
	}
}

// A load that fails says so, and leaves a connection that the next one can use.
func TestLoadThatFailsHarmsNoOther(t *testing.T) {
	t.Parallel()
	store, pool := newStore(t, 1)
	if err := setAll(t.Context(), pool, 3); err != nil {
		t.Fatal(err)
	}
	rename := func(from, to string) {
		t.Helper()
		if _, err := pool.Exec(t.Context(), "ALTER TABLE "+from+" RENAME TO "+to); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"character_vitals", "items", "transfers"} {
		rename(table, "gone")
		if state, err := store.Load(t.Context(), 1); err == nil {
			t.Errorf("without %s: loaded %+v", table, state)
		}
		rename("gone", table)
		state, err := store.Load(t.Context(), 1)
		if err != nil || state.Version != 3 || len(state.Items) != 1 {
			t.Errorf("after %s was back: %+v, %v", table, state, err)
		}
	}
	left, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Load(left, 1); err == nil {
		t.Error("loaded for a caller who had left")
	}
	if state, err := store.Load(t.Context(), 1); err != nil || state.Version != 3 {
		t.Errorf("after one left: %+v, %v", state, err)
	}
}
