package fresh

import (
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/live"
)

// Latencies that come back, and rise again later, are an oscillation: it misses what
// is wanted, and a return for good does not.
func TestSwingAfterTheReturnIsMissed(t *testing.T) {
	start := time.Unix(0, 0)
	at := func(window int) time.Time { return start.Add(warmUp + time.Duration(window)*burstWindow) }
	for _, c := range []struct {
		name   string
		slow   func(window int) bool
		missed int
	}{
		{"back for good", func(window int) bool { return window >= 4 && window < 9 }, 0},
		{"swings", func(window int) bool { return window >= 4 && window < 9 || window == 12 }, 1},
		{"never back", func(window int) bool { return window >= 4 }, 1},
	} {
		var seen sight
		seen.sent = live.Sent{From: start, To: at(20)}
		for i := range 20 * 50 {
			latency := time.Millisecond
			if c.slow(i / 50) {
				latency = 4 * time.Millisecond
			}
			published := at(0).Add(time.Duration(i) * burstWindow / 50)
			seen.commits = append(seen.commits, live.Commit{Published: published, Committed: published.Add(latency)})
		}
		missed := 0
		for _, row := range burstRows(Sizes{}, seen, live.Sent{From: at(4), To: at(8)}, at(9)) {
			if row.Missed {
				missed++
			}
		}
		if missed != c.missed {
			t.Errorf("%s: %d figures are missed, want %d", c.name, missed, c.missed)
		}
	}
}
