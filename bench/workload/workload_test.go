package workload_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/events"
)

func configs(t *rapid.T) workload.Config {
	return workload.Config{
		Kind:       rapid.SampledFrom(workload.Kinds()).Draw(t, "kind"),
		Events:     rapid.IntRange(1, 600).Draw(t, "events"),
		Characters: rapid.IntRange(1, 60).Draw(t, "characters"),
		Zipf:       rapid.SampledFrom([]float64{0, 1.2}).Draw(t, "zipf"),
		Seed:       rapid.Uint64().Draw(t, "seed"),
		FirstChar:  rapid.Int64Range(0, 1000).Draw(t, "first"),
	}
}

func all(c workload.Config) (out []events.StateChanged) {
	for e := range workload.Generate(c) {
		out = append(out, e)
	}
	return out
}

func TestSameSeedIsTheSameWorkload(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := configs(t)
		one, two := all(c), all(c)
		if len(one) != c.Events {
			t.Fatalf("%d events, want %d", len(one), c.Events)
		}
		if diff := cmp.Diff(one, two); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Every event is one that a gateway could have published: valid, about a
// character of the workload, newer than all before it, and with results that
// follow from the results before it.
func TestEventsAreWhatGatewaysPublish(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := configs(t)
		first := max(c.FirstChar, 1)
		last := events.Version(0)
		totals := map[string]int64{}
		for e := range workload.Generate(c) {
			if err := e.Validate(); err != nil {
				t.Fatalf("%+v: %v", e, err)
			}
			if e.Version <= last {
				t.Fatalf("version %d after %d", e.Version, last)
			}
			if int64(e.CharID) < first || int64(e.CharID) >= first+int64(c.Characters) {
				t.Fatalf("character %d of %d from %d", e.CharID, c.Characters, first)
			}
			last = e.Version
			addsUp(t, totals, &e)
		}
	})
}

func addsUp(t *rapid.T, totals map[string]int64, e *events.StateChanged) {
	items := []events.ItemChange{}
	switch data := e.Data.(type) {
	case events.Inventory:
		items = data.Items
	case events.Combat:
		items = data.Loot
		key := fmt.Sprint("xp ", e.CharID)
		if totals[key] += data.XPGained; totals[key] != data.XP {
			t.Fatalf("%d xp after %d, want %d", data.XP, data.XPGained, totals[key])
		}
	}
	for _, item := range items {
		key := fmt.Sprint(e.CharID, item.ItemID)
		if totals[key] += item.Delta; totals[key] != item.Quantity {
			t.Fatalf("%s is %d after %+d, want %d", item.ItemID, item.Quantity, item.Delta, totals[key])
		}
	}
}

// The oracle does not depend on the order in which it is told.
func TestFinalIsTheLastOfEachRow(t *testing.T) {
	c := workload.Config{Kind: workload.KindMix, Events: 3000, Characters: 40, Seed: 3}
	history := all(c)
	backwards := workload.FinalOf()
	vitals := 0
	for i := range history {
		backwards.Add(&history[len(history)-1-i])
		if history[i].Scope == events.ScopeVitals {
			vitals++
		}
	}
	forwards := workload.FinalOf(workload.Generate(c))
	if len(history) != 3000 {
		t.Fatalf("%d events, want 3000", len(history))
	}
	for _, table := range workload.Tables() {
		if forwards.Rows(table) == 0 || forwards.Rows(table) != backwards.Rows(table) {
			t.Errorf("%s: %d rows forwards, %d backwards", table, forwards.Rows(table), backwards.Rows(table))
		}
	}
	if vitals < 3000*65/100 || vitals > 3000*75/100 {
		t.Errorf("%d of 3000 are vitals, want 70 %%", vitals)
	}
}

func TestZipfHasHotCharacters(t *testing.T) {
	count := map[events.CharID]int{}
	for e := range workload.Generate(workload.Config{Kind: workload.KindVitals, Events: 20_000, Characters: 10_000, Zipf: 1.2, Seed: 1}) {
		count[e.CharID]++
	}
	if count[1] < 2000 {
		t.Errorf("the hottest character has %d of 20000 events", count[1])
	}
}
