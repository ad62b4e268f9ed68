package workload_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/events"
)

// Nothing is lost, nothing comes more than twice, only as many come twice as
// may, and nothing is overtaken by more than may.
func TestDeliveriesAreTheEventsInDisorder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := configs(t)
		d := workload.Disorder{
			Again:  rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "again"),
			Within: rapid.IntRange(0, 50).Draw(t, "within"),
		}
		c.Disorder = d
		happened := all(c)
		place := map[events.Version]int{}
		for i, e := range happened {
			place[e.Version] = i
		}
		var arrived []events.StateChanged
		count := map[events.Version]int{}
		newest := 0
		for e := range workload.Deliver(c) {
			arrived = append(arrived, e)
			count[e.Version]++
			newest = max(newest, place[e.Version])
			if newest-place[e.Version] > d.Within {
				t.Fatalf("event %d arrives after event %d", place[e.Version], newest)
			}
			if diff := cmp.Diff(happened[place[e.Version]], e); diff != "" {
				t.Fatal(diff)
			}
		}
		for v, i := range place {
			switch n := count[v]; {
			case n == 1 && d.Again < 1, n == 2 && d.Again > 0:
			default:
				t.Fatalf("event %d was delivered %d times", i, n)
			}
		}
		if d == (workload.Disorder{}) {
			if diff := cmp.Diff(happened, arrived); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestSameSeedIsTheSameDisorder(t *testing.T) {
	c := workload.Config{Kind: workload.KindMix, Events: 2000, Characters: 40, Seed: 3, Disorder: workload.Disorder{Again: 0.1, Within: 100}}
	var runs [2][]events.Version
	for i := range runs {
		for e := range workload.Deliver(c) {
			runs[i] = append(runs[i], e.Version)
		}
	}
	if diff := cmp.Diff(runs[0], runs[1]); diff != "" {
		t.Fatal(diff)
	}
	if n := len(runs[0]); n < 2100 || n > 2300 {
		t.Errorf("%d deliveries of 2000 events, want a tenth more", n)
	}
	behind := 0
	for i, v := range runs[0][1:] {
		if v < runs[0][i] {
			behind++
		}
	}
	if behind < 500 {
		t.Errorf("%d of %d arrive after a later one", behind, len(runs[0]))
	}
}
