package main

import (
	"context"

	"github.com/savepoint-games/savepoint/bench/baseline"
	"github.com/savepoint-games/savepoint/bench/drain"
	"github.com/savepoint-games/savepoint/bench/report"
)

// sections are the parts of the table, in its order.
var sections = []section{
	{"drain", runDrain},
	{"hotpath", runHotPath},
}

func runDrain(ctx context.Context, s settings) ([]report.Row, error) {
	return drain.Run(ctx, drain.Config{
		Bin: s.bin, Seed: s.seed, Quick: s.quick, Baseline: baseline.Elsewhere(s.self), Progress: s.say,
	})
}
