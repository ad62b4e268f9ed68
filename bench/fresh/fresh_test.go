package fresh_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/fresh"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// A short run on real servers has every figure, for the product and for (i), and
// each event was saved: Run fails otherwise.
func TestShortRunHasEveryFigure(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	bin := stacktest.Programs(t, "savepoint", "saver")
	const short = 200 * time.Millisecond
	rows, err := fresh.Run(ctx, fresh.Config{Bin: bin, Seed: 3, Sizes: fresh.Sizes{
		Rate: 300, Steady: short, One: short, Kinds: []workload.Kind{workload.KindMix},
		Idle: short, Lowest: 2, LowestEvery: 50 * time.Millisecond,
		Before: short, Burst: short, After: 4 * short, BurstRate: 3000,
	}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, row := range rows {
		section, _, _ := strings.Cut(row.Section, ",")
		seen[section]++
		if section != "burst of 3000/s for 200ms" && strings.HasPrefix(row.Unit, "ms p") && row.Value <= 0 {
			t.Errorf("no figure in %+v", row)
		}
	}
	for section, want := range map[string]int{"fresh mix": 6, "fresh vitals": 4, "idle": 4, "burst of 3000/s for 200ms": 8} {
		if seen[section] != want {
			t.Errorf("%d rows of %q, want %d: %v", seen[section], section, want, rows)
		}
	}
}
