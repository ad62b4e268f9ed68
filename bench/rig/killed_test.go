package rig_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// Savers die and end amid a backlog, alone or beside another: each row becomes what
// the events lead to.
func TestBacklogOutlivesItsSavers(t *testing.T) {
	const seed = 7
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	r, err := rig.Start(ctx, rig.All(programs(t)))
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	// Small batches, so that it is a long backlog.
	options := rig.Options{Env: []string{"SAVER_BATCH=50", "ACK_WAIT=2s"}}
	saver, err := r.StartSaver(ctx, options)
	must(t, err)
	mix := workload.Generate(workload.Config{Kind: workload.KindMix, Events: 40_000, Characters: 500, Seed: seed})
	_, err = r.Fill(ctx, mix, nil)
	must(t, err)

	chance := rand.New(rand.NewPCG(seed, 0))
	for range 12 {
		time.Sleep(time.Duration(chance.IntN(600)) * time.Millisecond)
		var other *rig.Program
		if chance.IntN(3) == 0 {
			other, err = r.StartSaver(ctx, options)
			must(t, err)
		}
		if chance.IntN(3) == 0 {
			must(t, saver.Stop(ctx))
		} else {
			must(t, saver.Kill())
		}
		if saver = other; saver == nil {
			saver, err = r.StartSaver(ctx, options)
			must(t, err)
		}
	}

	must(t, r.AwaitSettled(ctx))
	must(t, r.Check(ctx, workload.FinalOf(mix)))
}
