package hotpath_test

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/hotpath"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// Two gateways and the bare handler answer in turn, one story after the other.
func TestContendersHaveTheirRows(t *testing.T) {
	bin := stacktest.Programs(t, "savepoint", "saver", "gateway", "bench")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := hotpath.Config{Bin: bin, Self: filepath.Join(bin, "bench"), Seed: 3, Sizes: hotpath.Sizes{
		Characters: 50, Stories: []string{"combat", "scenario"}, Open: 50 * time.Millisecond, Turns: 2,
	}}
	contenders := []hotpath.Contender{
		{Name: "one"}, {Name: "bare", Bare: true}, {Name: "other", Options: rig.Options{Env: []string{"PUBLISH_TIMEOUT=60ms"}}},
	}

	rows, err := hotpath.Turns(ctx, c, hotpath.Turn{Rates: []float64{0, 300}}, contenders)

	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"combat, 0/s", "scenario, 300/s"} {
		for _, by := range contenders {
			if !slices.ContainsFunc(rows, func(r report.Row) bool {
				return r.Section == section && r.Case == by.Name && r.Unit == "ms p50" && r.Value > 0 && r.Ratio > 0
			}) {
				t.Errorf("%s has no median of %s", by.Name, section)
			}
		}
	}
}

// What was normal, and what the first second and the later ones beside a saver were.
func TestDrainsHaveTheirRowsBesidePlayers(t *testing.T) {
	bin := stacktest.Programs(t, "savepoint", "saver", "gateway", "bench")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := hotpath.Config{Bin: bin, Self: filepath.Join(bin, "bench"), Seed: 3, Sizes: hotpath.Sizes{Characters: 50}}

	rows, err := hotpath.BesideDrains(ctx, c, hotpath.Beside{Story: "vitals", Rate: 200, Backlog: 2000, For: 1500 * time.Millisecond}, []hotpath.Contender{{Name: "one"}})

	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one, before", "one, first second", "one, later"} {
		if !slices.ContainsFunc(rows, func(r report.Row) bool { return r.Case == name && r.Unit == "ms p99" && r.Value > 0 }) {
			t.Errorf("no figure of %q in %v", name, rows)
		}
	}
}
