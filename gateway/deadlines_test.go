package gateway

import (
	"context"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whenever a context is asked for, it ends after the timeout, and at most a sixteenth
// of that later.
func TestDeadlineIsNoEarlierAndLittleLater(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &deadlines{timeout: rapid.SampledFrom([]time.Duration{time.Millisecond, 50 * time.Millisecond, 2 * time.Second}).Draw(t, "timeout")}
		for range rapid.IntRange(1, 200).Draw(t, "asked") {
			before := time.Now()
			ctx, cancel := d.within(context.WithoutCancel(t.Context()))
			ends, _ := ctx.Deadline()
			if in := ends.Sub(before); in < d.timeout || in > d.timeout+d.timeout/16+time.Since(before) {
				t.Fatalf("ends in %v, want %v", in, d.timeout)
			}
			cancel()
			if err := ctx.Err(); err != nil && time.Now().Before(ends) {
				t.Fatalf("who needs it no more ends it for the others: %v", err)
			}
		}
	})
}

func TestDeadlineEndsWithItsCaller(t *testing.T) {
	d := &deadlines{timeout: time.Minute}
	caller, leave := context.WithCancel(t.Context())
	ctx, cancel := d.within(caller)
	defer cancel()
	leave()
	<-ctx.Done()
}

func TestDeadlineHasTheValuesOfItsCaller(t *testing.T) {
	type key struct{}
	d := &deadlines{timeout: time.Minute}
	for _, caller := range []context.Context{t.Context(), context.WithoutCancel(t.Context())} {
		ctx, cancel := d.within(context.WithValue(caller, key{}, "mine"))
		defer cancel()
		if got := ctx.Value(key{}); got != "mine" {
			t.Errorf("%v", got)
		}
	}
}

// At the same moment all share one.
func TestDeadlinesCostNothing(t *testing.T) {
	d := &deadlines{timeout: time.Hour}
	ctx := context.Background()
	allocs := testing.AllocsPerRun(1000, func() {
		_, cancel := d.within(ctx)
		cancel()
	})
	if allocs > 0 {
		t.Errorf("%v allocations", allocs)
	}
}
