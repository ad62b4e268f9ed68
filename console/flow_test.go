package console

import (
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// at is a sample of vitals, and of a stream that has no other events.
func at(second int, stored uint64, c consumer) *sample {
	return &sample{at: time.Unix(int64(second), 0), stored: stored, scopes: map[events.Scope]consumer{events.ScopeVitals: c}}
}

func handedOut(n uint64) counts { return counts{Consumer: n} }

func TestRatesAreThoseBetweenTwoSamples(t *testing.T) {
	t.Parallel()
	before := at(0, 100, consumer{Pending: 10, InHand: 20, Delivered: handedOut(90)})
	for name, c := range map[string]struct {
		now        *sample
		scope, all rates
	}{
		"both go on":                {at(10, 200, consumer{Pending: 60, InHand: 10, Delivered: handedOut(140)}), rates{10, 6}, rates{10, 6}},
		"nothing is saved":          {at(10, 200, consumer{Pending: 110, InHand: 20, Delivered: handedOut(90)}), rates{10, 0}, rates{10, 0}},
		"nothing is published":      {at(10, 100, consumer{Delivered: handedOut(100)}), rates{0, 3}, rates{0, 3}},
		"savers catch up":           {at(10, 200, consumer{Pending: 80, CatchesUp: true}), rates{unknownRate, unknownRate}, rates{10, 5}},
		"they have caught up":       {at(10, 200, consumer{InHand: 10, Delivered: handedOut(10)}), rates{unknownRate, unknownRate}, rates{10, 12}},
		"the stream was lost":       {at(10, 5, consumer{Pending: 5}), rates{unknownRate, unknownRate}, rates{0, 0}},
		"nothing happens at all":    {at(10, 100, consumer{Pending: 10, InHand: 20, Delivered: handedOut(90)}), rates{0, 0}, rates{0, 0}},
		"some are handed out again": {at(10, 100, consumer{Pending: 10, InHand: 20, Delivered: handedOut(95)}), rates{0, 0}, rates{0, 0}},
		"the scope has no sample":   {&sample{at: time.Unix(10, 0), stored: 100}, rates{unknownRate, unknownRate}, rates{0, 0}},
	} {
		if got := c.now.of(events.ScopeVitals, before); got != c.scope {
			t.Errorf("%s: %v, want %v", name, got, c.scope)
		}
		if got := c.now.all(before); got != c.all {
			t.Errorf("%s: all %v, want %v", name, got, c.all)
		}
	}
}

func TestNumbersAreReadable(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", 38 * time.Millisecond: "38ms", 1234 * time.Millisecond: "1.2s",
		61 * time.Second: "1m 1s", 3 * time.Hour: "3h 0m", 72 * time.Hour: "3 days",
	} {
		if got := ago(d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}
