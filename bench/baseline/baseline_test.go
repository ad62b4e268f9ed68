package baseline_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/baseline"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// A baseline that saves must save everything, or its rate would say nothing.
func TestBaselinesDoTheWholeWork(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	bin := stacktest.Programs(t, "savepoint")
	r, err := rig.Start(ctx, rig.Config{Bin: bin, NATS: true, Postgres: true})
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	events := workload.Config{Kind: workload.KindMix, Events: 1000, Characters: 50, Seed: 9}
	want := workload.FinalOf(workload.Generate(events))
	_, err = r.Fill(ctx, workload.Generate(events), nil)
	must(t, err)

	for _, c := range []baseline.Config{
		{What: baseline.Memory, Batch: 100, Conns: 1},
		{What: baseline.Memory, Batch: 300, Conns: 2},
		{What: baseline.One},
		{What: baseline.One, AtOnce: true},
		{What: baseline.Loop, Batch: 300},
		{What: baseline.Stream, Batch: 300},
		{What: baseline.Stream, Batch: 300, AckAll: true},
	} {
		c.Workload, c.NATS, c.Postgres, c.Servers = events, r.NATSURL(), r.PostgresURL(), r.Pids()
		got, err := baseline.Run(ctx, c)
		must(t, err)
		if got.Events != 1000 || got.Rate() <= 0 {
			t.Errorf("%s, %s: %+v", c.What, c.Setting(), got)
		}
		if c.What == baseline.Stream {
			continue // saves nothing
		}
		if err := r.Check(ctx, want); err != nil {
			t.Errorf("%s, %s: %v", c.What, c.Setting(), err)
		}
		must(t, r.Truncate(ctx))
	}
}

func TestUnknownBaselineIsNamed(t *testing.T) {
	_, err := baseline.Run(t.Context(), baseline.Config{What: "none"})
	if err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("got %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
