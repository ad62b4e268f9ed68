//go:build !race

// The race detector makes pools drop what they hold, so it would count more.

package events_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/events"
)

// maxDecodeAllocs is what a vitals event took when this guard was set: five
// strings, the event and its data.
const maxDecodeAllocs = 7

// A saver decodes tens of thousands of events a second. More allocations than
// before are a regression; with fewer, lower the guard.
func TestDecodeAllocatesNoMoreThanItDid(t *testing.T) {
	body := []byte(golden(t, "vitals"))
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := events.Decode(body); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > maxDecodeAllocs {
		t.Errorf("%v allocations for a vitals event, at most %d before", allocs, maxDecodeAllocs)
	}
}
