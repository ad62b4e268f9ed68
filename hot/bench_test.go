package hot_test

import (
	"fmt"
	"testing"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// BenchmarkCommitVitals is the smallest commit: a blind write of one hash.
func BenchmarkCommitVitals(b *testing.B) {
	benchmarkCommit(b, func(char events.CharID, v events.Version) *game.Change {
		return game.SetVitals(&game.State{Char: char}, v, events.Vitals{
			HP: 80, Energy: 55, Location: events.Location{Zone: "harbor", X: 1.5, Y: -2},
		})
	})
}

// BenchmarkCommitInventory changes three items of a bag that nobody else
// changes: it expects their part as the commit before left it.
func BenchmarkCommitInventory(b *testing.B) {
	last := make(map[events.CharID]events.Version)
	benchmarkCommit(b, func(char events.CharID, v events.Version) *game.Change {
		state := &game.State{Char: char, Parts: map[game.Part]events.Version{game.PartItems: last[char]}}
		c, err := game.ChangeItems(state, v, []game.ItemDelta{
			{ItemID: "potion", Delta: 1}, {ItemID: "sword", Delta: 2}, {ItemID: "rope", Delta: 3},
		})
		if err != nil {
			b.Fatal(err)
		}
		last[char] = v
		return c
	})
}

// benchmarkCommit commits over one connection, one after the other.
func benchmarkCommit(b *testing.B, decide func(events.CharID, events.Version) *game.Change) {
	const characters = 100
	r := newRig(b, stacktest.Redis(b))
	var all []events.CharID
	for range characters {
		all = append(all, r.character())
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		change := decide(all[n%characters], r.next())
		n++
		if err := r.store.Commit(b.Context(), change, game.Request{Key: fmt.Sprint(n), Record: `{"answer":{}}`}); err != nil {
			b.Fatal(err)
		}
	}
}
