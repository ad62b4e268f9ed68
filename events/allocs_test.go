//go:build !race

// The race detector makes pools drop what they hold, so it would count more.

package events_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/events"
)

// maxDecodeAllocs is what an event took when this guard was set: the texts that
// it keeps, its lists, and its data.
var maxDecodeAllocs = map[string]float64{"vitals": 2, "inventory": 5, "combat": 6}

// A saver decodes tens of thousands of events a second. More allocations than
// before are a regression; with fewer, lower the guard.
func TestDecodeAllocatesNoMoreThanItDid(t *testing.T) {
	for name, limit := range maxDecodeAllocs {
		body := []byte(golden(t, name))
		var e events.StateChanged
		allocs := testing.AllocsPerRun(1000, func() {
			if err := events.DecodeInto(body, &e); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > limit {
			t.Errorf("%v allocations for a %s event, at most %v before", allocs, name, limit)
		}
	}
}

// maxEncodeAllocs is what Encode allocates for any scope but a long one: the
// text, its writer, and the ids in it.
const maxEncodeAllocs = 6

func TestEncodeAllocatesNoMoreThanItDid(t *testing.T) {
	for name := range maxDecodeAllocs {
		e := mustDecode(t, []byte(golden(t, name)))
		allocs := testing.AllocsPerRun(1000, func() {
			if _, err := events.Encode(&e); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > maxEncodeAllocs {
			t.Errorf("%v allocations for a %s event, at most %d before", allocs, name, maxEncodeAllocs)
		}
	}
}
