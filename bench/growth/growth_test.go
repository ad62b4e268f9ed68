package growth_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/growth"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// A short run on real servers has a figure for each size. The savers never see
// what is only stored: the drain would not settle at its number of events.
func TestShortRunHasAFigureForEachSize(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	bin := stacktest.Programs(t, "savepoint", "saver")
	rows, err := growth.Run(ctx, growth.Config{Bin: bin, Seed: 3, Sizes: growth.Sizes{
		Events: 2000, Stored: [2]int{1000, 5000}, Characters: [2]int{100, 2000}, Repeat: 1,
	}})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]int{}
	for _, row := range rows {
		if row.Value < 0 || row.Unit == "events/s" && row.Value == 0 {
			t.Errorf("no figure in %+v", row)
		}
		cases[row.Case]++
	}
	for name, want := range map[string]int{
		"100": 3, "100 of 2 thousand": 3, "all of 2 thousand play": 3, "1 thousand": 3, "5 thousand": 3,
		"100, after a checkpoint": 3, "100 of 2 thousand, after a checkpoint": 3,
	} {
		if cases[name] != want {
			t.Errorf("%d rows of %q, want %d: %v", cases[name], name, want, cases)
		}
	}
}
