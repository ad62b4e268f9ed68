package hot_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/savepoint-games/savepoint/events"
)

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
