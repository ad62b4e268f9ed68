// Bench measures the product on private servers, beside baselines that run on
// the same servers in the same run, and prints one table with the ratios.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/alecthomas/kong"

	"github.com/savepoint-games/savepoint/bench/baseline"
	"github.com/savepoint-games/savepoint/internal/program"
)

type cli struct {
	Run      runCmd      `cmd:"" default:"withargs" help:"Measure, print the table and keep it."`
	Compare  compareCmd  `cmd:"" help:"Compare builds and settings of a program in turns."`
	Baseline baselineCmd `cmd:"" hidden:"" help:"Run one baseline in this process."`
	Bare     bareCmd     `cmd:"" hidden:"" help:"Serve baseline (iv)."`
	Load     loadCmd     `cmd:"" hidden:"" help:"Serve a load generator."`
}

func main() {
	var c cli
	parsed := kong.Parse(&c, kong.Name("bench"), kong.Description("Measures the product on private servers, beside baselines."))
	program.Main(func(ctx context.Context) error {
		parsed.BindTo(ctx, (*context.Context)(nil))
		return parsed.Run()
	})
}

// baselineCmd is how bench starts itself, so that a baseline's CPU time can be
// told from its own. See baseline.Elsewhere.
type baselineCmd struct {
	Config string `arg:"" help:"A baseline.Config as JSON."`
}

// Run prints the result as JSON.
func (b *baselineCmd) Run(ctx context.Context) error {
	var c baseline.Config
	if err := json.Unmarshal([]byte(b.Config), &c); err != nil {
		return fmt.Errorf("baseline: %w", err)
	}
	result, err := baseline.Run(ctx, c)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}
