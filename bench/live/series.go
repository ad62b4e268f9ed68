// Package live is what measurements of a running system share: events published
// at a fixed rate, when PostgreSQL committed each, and the statistics of both.
package live

import (
	"slices"
	"time"
)

// A Commit is one event: when it was published and when PostgreSQL had committed
// it, both by this machine's clock.
type Commit struct {
	Published, Committed time.Time
}

// Latency is the time from publish to commit.
func (c Commit) Latency() time.Duration { return c.Committed.Sub(c.Published) }

// Latencies lists the times from publish to commit in ascending order.
func Latencies(commits []Commit) []time.Duration {
	out := make([]time.Duration, len(commits))
	for i, c := range commits {
		out[i] = c.Latency()
	}
	slices.Sort(out)
	return out
}

// Percentile returns the smallest value that at least percent of all values do
// not exceed. The values are in ascending order; of none it is 0.
func Percentile(sorted []time.Duration, percent float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(percent / 100 * float64(len(sorted)))
	if float64(rank) < percent/100*float64(len(sorted)) {
		rank++
	}
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// A Window is the events published within some time.
type Window struct {
	From      time.Time
	Latencies []time.Duration // ascending
}

// Windows cuts the events by when they were published, into windows of one
// width, the first of which begins at from. What was published before is left
// out. A window without events is there, and empty.
func Windows(commits []Commit, from time.Time, width time.Duration) []Window {
	var out []Window
	for _, c := range commits {
		since := c.Published.Sub(from)
		if since < 0 {
			continue
		}
		for int(since/width) >= len(out) {
			out = append(out, Window{From: from.Add(time.Duration(len(out)) * width)})
		}
		w := &out[since/width]
		w.Latencies = append(w.Latencies, c.Latency())
	}
	for i := range out {
		slices.Sort(out[i].Latencies)
	}
	return out
}

// LongestGap returns the longest time between from and to in which nothing was
// committed, and when it began. What was committed outside does not count.
func LongestGap(commits []Commit, from, to time.Time) (gap time.Duration, at time.Time) {
	times := []time.Time{from, to}
	for _, c := range commits {
		if c.Committed.After(from) && c.Committed.Before(to) {
			times = append(times, c.Committed)
		}
	}
	slices.SortFunc(times, time.Time.Compare)
	for i := 1; i < len(times); i++ {
		if d := times[i].Sub(times[i-1]); d > gap {
			gap, at = d, times[i-1]
		}
	}
	return gap, at
}

// Between lists the events that were published at from or later, and before to.
func Between(commits []Commit, from, to time.Time) (out []Commit) {
	for _, c := range commits {
		if !c.Published.Before(from) && c.Published.Before(to) {
			out = append(out, c)
		}
	}
	return out
}
