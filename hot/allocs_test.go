//go:build !race

// The race detector makes pools drop what they hold, so it would count more.

package hot_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/hot"
)

// A gateway commits thousands of changes a second, and garbage is collected while
// players wait. More allocations than when this guard was set are a regression; with
// fewer, lower the guard.
func TestCommitAllocatesNoMoreThanItDid(t *testing.T) {
	store, err := hot.Open("redis://127.0.0.1:1") // nothing is sent
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const at = events.Version(1_790_000_000_000_000)
	bag, err := game.ChangeItems(&game.State{Char: 4_200_000}, at, []game.ItemDelta{
		{ItemID: "potion", Delta: 1}, {ItemID: "sword", Delta: 2}, {ItemID: "rope", Delta: 3},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		change *game.Change
		most   float64
	}{
		{"vitals", game.SetVitals(&game.State{Char: 4_200_000}, at, events.Vitals{HP: 80, Location: events.Location{Zone: "harbor", X: 1.5}}), 16},
		{"three items", bag, 32},
	} {
		allocs := testing.AllocsPerRun(1000, func() {
			if err := store.Prepare(t.Context(), tt.change); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > tt.most {
			t.Errorf("%v allocations for %s, at most %v before", allocs, tt.name, tt.most)
		}
	}
}
