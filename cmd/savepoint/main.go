// Savepoint runs everything on one machine: private PostgreSQL and Redis, NATS
// inside this process, a gateway and two savers; and a small world to play on it.
package main

import (
	"context"
	"io"
	"os"

	"github.com/alecthomas/kong"

	"github.com/savepoint-games/savepoint/internal/program"
)

type cli struct {
	Run   runCmd   `cmd:"" default:"withargs" help:"Start everything; Ctrl-C stops it."`
	Demo  demoCmd  `cmd:"" help:"Play a small world against a running system."`
	Reset resetCmd `cmd:"" help:"Remove the data of a system that does not run."`
	NATS  natsCmd  `cmd:"" hidden:"" name:"nats" help:"Run a NATS server alone until SIGTERM."`
}

func main() {
	var c cli
	parsed := kong.Parse(&c, kong.Name("savepoint"), kong.Description("Savepoint on one machine."))
	program.Main(func(ctx context.Context) error {
		parsed.BindTo(ctx, (*context.Context)(nil))
		parsed.BindTo(os.Stdout, (*io.Writer)(nil))
		return parsed.Run()
	})
}
