package rig_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// programs builds what the rig starts.
func programs(t *testing.T) string {
	t.Helper()
	return stacktest.Programs(t, "savepoint", "saver", "gateway")
}

// A backlog that grows while the consumers are paused is untouched until they
// are resumed, and then every row is what the oracle says. A spoilt row is found.
func TestBacklogIsSavedAndSpoiltRowsAreFound(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r, err := rig.Start(ctx, rig.All(programs(t)))
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	saver, err := r.StartSaver(ctx, rig.Options{})
	must(t, err)
	stacktest.Eventually(t, "the saver asks for events", func() bool {
		b, err := r.Backlog(ctx)
		return err == nil && b.Asking >= 4
	})
	must(t, r.Pause(ctx))
	mix := workload.Generate(workload.Config{Kind: workload.KindMix, Events: 4000, Characters: 100, Seed: 5})

	n, err := r.Fill(ctx, mix, nil)
	must(t, err)
	if b, err := r.Backlog(ctx); err != nil || n != 4000 || b.Waiting+b.InFlight != n {
		t.Fatalf("%d events, backlog %+v (%v) while paused", n, b, err)
	}
	_, err = r.Resume(ctx)
	must(t, err)
	must(t, r.AwaitSettled(ctx))
	want := workload.FinalOf(mix)
	must(t, r.Check(ctx, want))

	must(t, saver.Stop(ctx))

	// The tables are compared in an order of which this is the reverse, so that
	// the last spoilt one is named first.
	for _, spoil := range []struct{ table, statement string }{
		{"scenario_progress", "UPDATE scenario_progress SET data = '{}' WHERE char_id = (SELECT min(char_id) FROM scenario_progress)"},
		{"combat_history", "DELETE FROM combat_history WHERE char_id = (SELECT min(char_id) FROM combat_history)"},
		{"items", "UPDATE items SET version = version - 1 WHERE char_id = (SELECT min(char_id) FROM items)"},
		{"character_progress", "INSERT INTO character_progress VALUES (999999, 1, 1)"},
		{"character_vitals", "UPDATE character_vitals SET hp = hp + 1 WHERE char_id = (SELECT min(char_id) FROM character_vitals)"},
	} {
		_, err := r.DB.Exec(ctx, spoil.statement)
		must(t, err)
		if err := r.Check(ctx, want); err == nil || !strings.Contains(err.Error(), spoil.table) {
			t.Errorf("after %s the rows compare: %v", spoil.statement, err)
		}
	}
	must(t, r.Reset(ctx))
	must(t, r.Check(ctx, workload.FinalOf()))
}

func TestMissingProgramIsNamed(t *testing.T) {
	_, err := rig.Start(t.Context(), rig.Config{Bin: filepath.Join(t.TempDir(), "none"), NATS: true})
	if err == nil || !strings.Contains(err.Error(), "savepoint") {
		t.Errorf("got %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
