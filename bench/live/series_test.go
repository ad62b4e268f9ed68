package live_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/bench/live"
)

func durations(t *rapid.T) []time.Duration {
	out := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) time.Duration {
		return time.Duration(rapid.Int64Range(0, 1000).Draw(t, "ms")) * time.Millisecond
	}), 1, 300).Draw(t, "values")
	slices.Sort(out)
	return out
}

// At least so many percent of the values are at or below the percentile, and
// fewer are below it: by definition there is only one such value.
func TestPercentileDividesTheValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := durations(t)
		percent := rapid.SampledFrom([]float64{0.1, 1, 25, 50, 90, 99, 99.9, 100}).Draw(t, "percent")
		got := live.Percentile(values, percent)
		below, within := 0, 0
		for _, v := range values {
			if v < got {
				below++
			}
			if v <= got {
				within++
			}
		}
		share := func(n int) float64 { return 100 * float64(n) / float64(len(values)) }
		if share(within) < percent-1e-9 || share(below) >= percent-1e-9 {
			t.Fatalf("p%g of %v is %v: %d are below it, %d at most as large", percent, values, got, below, within)
		}
	})
}

func TestNothingHasNoPercentile(t *testing.T) {
	if got := live.Percentile(nil, 50); got != 0 {
		t.Errorf("got %v", got)
	}
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func commits(t *rapid.T) (out []live.Commit) {
	for range rapid.IntRange(0, 60).Draw(t, "events") {
		published := epoch.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "published")) * time.Millisecond)
		took := time.Duration(rapid.IntRange(0, 800).Draw(t, "took")) * time.Millisecond
		out = append(out, live.Commit{Published: published, Committed: published.Add(took)})
	}
	return out
}

// The gap is empty, and none that begins at a commit, or at the beginning, is
// longer: checked by looking at every pair.
func TestLongestGapIsEmptyAndTheLongest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := commits(t)
		from, to := epoch.Add(time.Second), epoch.Add(4*time.Second)
		gap, at := live.LongestGap(all, from, to)
		if gap <= 0 || at.Before(from) || at.Add(gap).After(to) {
			t.Fatalf("gap of %v at %v is outside", gap, at)
		}
		begins := []time.Time{from}
		for _, c := range all {
			if c.Committed.After(at) && c.Committed.Before(at.Add(gap)) {
				t.Fatalf("%v was committed in the gap of %v at %v", c.Committed, gap, at)
			}
			if !c.Committed.Before(from) && c.Committed.Before(to) {
				begins = append(begins, c.Committed)
			}
		}
		for _, begin := range begins {
			end := to
			for _, c := range all {
				if c.Committed.After(begin) && c.Committed.Before(end) {
					end = c.Committed
				}
			}
			if end.Sub(begin) > gap {
				t.Fatalf("from %v to %v is longer than %v", begin, end, gap)
			}
		}
	})
}

// Each event since from is in the window of its time, and in no other.
func TestWindowsHoldEveryEventOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := commits(t)
		from := epoch.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "from")) * time.Millisecond)
		width := time.Duration(rapid.IntRange(1, 900).Draw(t, "width")) * time.Millisecond
		for i, w := range live.Windows(all, from, width) {
			if !w.From.Equal(from.Add(time.Duration(i) * width)) {
				t.Fatalf("window %d is from %v", i, w.From)
			}
			want := live.Latencies(live.Between(all, w.From, w.From.Add(width)))
			if !slices.Equal(w.Latencies, want) {
				t.Fatalf("window %d has %v, want %v", i, w.Latencies, want)
			}
		}
		count := 0
		for _, w := range live.Windows(all, from, width) {
			count += len(w.Latencies)
		}
		if want := len(live.Between(all, from, epoch.Add(time.Hour))); count != want {
			t.Fatalf("%d events are in windows, want %d", count, want)
		}
	})
}
