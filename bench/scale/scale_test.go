package scale_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/scale"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// A short run on real servers: one and two savers drain, hot characters among
// them, and savers join and leave. Every row that PostgreSQL has is right, or
// Run fails, and nothing dead-locked. The distance is felt: no more transactions
// were made than round trips fit into the time.
func TestShortRunDrainsAndLosesNothing(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	bin := stacktest.Programs(t, "savepoint", "saver")
	const lanes = 2
	c := scale.Case{RoundTrip: 20 * time.Millisecond, Batch: 50, PerSaver: 500, Zipf: 1.2}
	rows, err := scale.Run(ctx, scale.Config{Bin: bin, Seed: 3, Sizes: scale.Sizes{
		Savers: []int{1, 2}, Cases: []scale.Case{c},
		Joining: 1500 * time.Millisecond, JoinEvery: 300 * time.Millisecond, JoinRate: 200, JoinDelay: 5 * time.Millisecond, JoinAckWait: time.Second,
	}})
	if err != nil {
		t.Fatal(err)
	}
	rates, locks, gaps := 0, 0, 0
	for _, row := range rows {
		switch {
		case row.Unit == "events/s":
			rates++
			if most := 2 * lanes * float64(c.Batch) / c.RoundTrip.Seconds(); row.Value <= 0 || row.Value > most {
				t.Errorf("%s: %.0f events/s; with this distance at most %.0f are possible", row.Case, row.Value, most)
			}
		case row.Unit == "deadlocks", row.Unit == "transactions that failed":
			locks++
			if row.Missed {
				t.Errorf("%g %s", row.Value, row.Unit)
			}
		case strings.HasPrefix(row.Unit, "s, longest without a commit"):
			gaps++
		}
	}
	if rates != 2 || locks != 2 || gaps != 1 {
		t.Errorf("%d rates, %d of locks, %d gaps in %v", rates, locks, gaps, rows)
	}
}
