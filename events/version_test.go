package events_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
)

// Whatever a clock does, stand still, run back, or be years off, the versions
// that it gives to one character rise.
func TestVersionsRiseUnderAnyClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		previous := events.Version(rapid.Int64Range(0, math.MaxInt64-100).Draw(t, "previous"))
		for _, µs := range rapid.SliceOfN(rapid.Int64(), 1, 50).Draw(t, "clock") {
			next := events.NextVersion(previous, time.UnixMicro(min(µs, math.MaxInt64-100)))
			if next <= previous {
				t.Fatalf("%d after %d at %d µs", next, previous, µs)
			}
			previous = next
		}
	})
}

// A clock that is ahead gives its own time; one that is behind, the least step.
func TestVersionIsTheClockOrOneMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(t, "now"))
		previous := events.Version(rapid.Int64Range(0, 4e15).Draw(t, "previous"))
		v := events.NextVersion(previous, now)
		if v != previous+1 && !v.Time().Equal(now) {
			t.Fatalf("version %d after %d at %s", v, previous, now)
		}
		if v == previous+1 && now.UnixMicro() > int64(v) {
			t.Fatalf("version %d is behind the clock %s", v, now)
		}
	})
}

func TestVersionReadsAsATimeInUTC(t *testing.T) {
	v := events.NextVersion(0, time.Date(2026, 11, 22, 11, 0, 0, 123456789, time.FixedZone("", 3600)))
	if want := time.Date(2026, 11, 22, 10, 0, 0, 123456000, time.UTC); v.Time() != want {
		t.Errorf("%d reads as %s, want %s", v, v.Time(), want)
	}
}

func TestVersionBelowOneIsRefused(t *testing.T) {
	for _, v := range []events.Version{0, -1, math.MinInt64} {
		if err := v.Check(tenOClock); !errors.Is(err, events.ErrVersion) {
			t.Errorf("%d: %v", v, err)
		}
	}
}
