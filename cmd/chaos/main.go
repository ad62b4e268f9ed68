// Chaos breaks a private system while seeded clients play on it, and checks
// what is left against what was acknowledged.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"github.com/savepoint-games/savepoint/chaos"
	"github.com/savepoint-games/savepoint/internal/program"
)

type cli struct {
	Duration time.Duration `name:"for" env:"CHAOS_FOR" default:"60s" help:"How long to play and break."`
	Seed     uint64        `env:"SEED" default:"1" help:"Of the clients and of the schedule of faults."`
	Faults   []string      `env:"FAULTS" help:"Which faults may happen; by default all but those that take a minute."`
	Clients  int           `env:"CLIENTS" default:"8" help:"How many clients play at once."`
	Savers   int           `env:"SAVERS" default:"2" help:"How many savers there are; a backlog they take together, without an ack of each event."`
	NATS     int           `name:"nats" env:"NATS" default:"1" help:"How many NATS servers there are: alone, or a cluster of 3, with 3 replicas of each stream."`
	Parallel int           `env:"PARALLEL" default:"2" help:"How many faults may be on at once."`
	OldBin   string        `env:"OLD_BIN" type:"path" help:"Directory with a saver, a gateway or both of an older build, to run beside the others; see scripts/old-build.sh."`
	Skew     bool          `env:"SKEW" help:"Gateways have wrong clocks even where Redis may lose its memory."`
	NoTrades bool          `env:"NO_TRADES" help:"Leave out trades between characters."`
	LoseKeys bool          `env:"LOSE_KEYS" help:"Redis may lose its memory while an action has no answer."`
}

func main() {
	var c cli
	kong.Parse(&c, kong.Name("chaos"), kong.Description(fmt.Sprintf("Faults: %v, with NATS=3. Only when named, since they take a minute: %v.", chaos.DefaultFaults(3), chaos.LongFaults())))
	program.Main(c.run)
}

func (c *cli) run(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	result, err := chaos.Run(ctx, chaos.Config{
		Bin: filepath.Dir(self), Seed: c.Seed, Duration: c.Duration, Faults: c.Faults, Clients: c.Clients, Savers: c.Savers, NATS: c.NATS,
		Parallel: c.Parallel, LoseKeys: c.LoseKeys, OldBin: c.OldBin, NoTrades: c.NoTrades, Skew: c.Skew, Out: os.Stdout,
	})
	if err != nil {
		return err
	}
	fmt.Print(result.Report())
	if len(result.Violations) > 0 {
		return fmt.Errorf("%d violations; again: %s", len(result.Violations), result.Repeat)
	}
	return nil
}
