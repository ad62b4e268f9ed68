package main

import (
	"context"

	"github.com/savepoint-games/savepoint/bench/baseline"
	"github.com/savepoint-games/savepoint/bench/drain"
	"github.com/savepoint-games/savepoint/bench/fresh"
	"github.com/savepoint-games/savepoint/bench/growth"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/scale"
)

// sections are the parts of the table, in its order.
var sections = []section{
	{"drain", runDrain},
	{"fresh", runFresh},
	{"savers", runScale},
	{"growth", runGrowth},
	{"hotpath", runHotPath},
}

func runDrain(ctx context.Context, s settings) ([]report.Row, error) {
	return drain.Run(ctx, drain.Config{
		Bin: s.bin, Seed: s.seed, Quick: s.quick, Baseline: baseline.Elsewhere(s.self), Progress: s.say,
	})
}

func runFresh(ctx context.Context, s settings) ([]report.Row, error) {
	return fresh.Run(ctx, fresh.Config{Bin: s.bin, Seed: s.seed, Quick: s.quick, Progress: s.say})
}

func runScale(ctx context.Context, s settings) ([]report.Row, error) {
	return scale.Run(ctx, scale.Config{Bin: s.bin, Seed: s.seed, Quick: s.quick, Progress: s.say})
}

func runGrowth(ctx context.Context, s settings) ([]report.Row, error) {
	return growth.Run(ctx, growth.Config{Bin: s.bin, Seed: s.seed, Quick: s.quick, Progress: s.say})
}
