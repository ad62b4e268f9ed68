package main

import (
	"context"

	"github.com/savepoint-games/savepoint/bench/bare"
	"github.com/savepoint-games/savepoint/bench/hotpath"
	"github.com/savepoint-games/savepoint/bench/load"
	"github.com/savepoint-games/savepoint/bench/report"
)

func runHotPath(ctx context.Context, s settings) ([]report.Row, error) {
	return hotpath.Run(ctx, hotpath.Config{Bin: s.bin, Self: s.self, Seed: s.seed, Quick: s.quick, Progress: s.say})
}

// bareCmd and loadCmd are how bench starts itself, so that their CPU time can be
// told from each other's.
type bareCmd struct {
	Addr  string `arg:""`
	Redis string `arg:""`
	NATS  string `arg:""`
}

// Run serves until ctx is done.
func (b *bareCmd) Run(ctx context.Context) error { return bare.ServeBare(ctx, b.Addr, b.Redis, b.NATS) }

type loadCmd struct {
	Addr string `arg:""`
}

// Run serves until ctx is done.
func (l *loadCmd) Run(ctx context.Context) error { return load.Serve(ctx, l.Addr) }
