package hotpath_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/hotpath"
	"github.com/savepoint-games/savepoint/bench/load"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// Every story is played to its end on the programs as they are shipped, without
// a refusal, and each route has its row beside the bare handler's.
func TestEveryRouteHasItsRows(t *testing.T) {
	bin := stacktest.Programs(t, "savepoint", "saver", "gateway", "bench")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stories := slices.DeleteFunc(load.Stories(), func(s string) bool { return s == load.StoryMake })

	rows, err := hotpath.Run(ctx, hotpath.Config{
		Bin: bin, Self: filepath.Join(bin, "bench"), Seed: 2, Progress: func(line string) { t.Log(line) },
		Sizes: hotpath.Sizes{
			Characters: 100, Stories: stories, Closed: 50 * time.Millisecond, Open: 50 * time.Millisecond, Turns: 1, Backlog: 500,
		},
	})

	if err != nil {
		t.Fatal(err)
	}
	for _, story := range stories {
		for _, step := range load.Steps(story) {
			if !slices.ContainsFunc(rows, func(r report.Row) bool {
				return r.Section == "hot path "+story+", 50 %" && r.Case == step && r.Unit == "ms p50" && r.Value > 0 && r.Ratio > 0 && r.Of == "(iv)"
			}) {
				t.Errorf("no median of %s beside (iv)", step)
			}
		}
	}
	for _, section := range []string{"hot path, PostgreSQL stopped", "hot path, 500 events wait, no saver"} {
		for _, name := range []string{
			"PUT vitals", "POST inventory", "combat, all steps", "scenario, all steps", "bag, all steps", "keyed, all steps", "dispatch, all steps",
		} {
			if !slices.ContainsFunc(rows, func(r report.Row) bool {
				return r.Section == section && r.Case == name && r.Ratio > 0 && strings.HasPrefix(r.Want, "<= 1")
			}) {
				t.Errorf("no row of %s in %q", name, section)
			}
		}
	}
}
