// The saver writes events to PostgreSQL, and holds the tools around it.
package main

import (
	"context"
	"os"

	"github.com/alecthomas/kong"

	"github.com/savepoint-games/savepoint/internal/program"
)

type cli struct {
	program.Connections
	program.Logging
	program.Publishing

	Run         runCmd         `cmd:"" help:"Save events until SIGTERM; the batch in hand commits."`
	Migrate     migrateCmd     `cmd:"" help:"Bring the database to this build's schema."`
	Status      statusCmd      `cmd:"" help:"Show lag, what is dirty and dead letters by scope; exit 1 where a server does not answer."`
	Verify      verifyCmd      `cmd:"" help:"Compare hot, stream and cold row by row; exit 1 and a diff where they differ."`
	Replay      replayCmd      `cmd:"" help:"Save stored events once more: after a database was restored, or to look."`
	Restore     restoreCmd     `cmd:"" help:"Give one character the values back that it had at a moment."`
	DLQ         dlqCmd         `cmd:"" name:"dlq" help:"Look after the dead letters."`
	Doctor      doctorCmd      `cmd:"" help:"Read the settings of the servers and say what could be lost in which fault; exit 1 where that breaks a promise."`
	Tail        tailCmd        `cmd:"" help:"Show events as they are published."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask the saver on this machine whether it runs; exit 1 if not."`
}

func main() {
	var c cli
	parsed := kong.Parse(&c, kong.Name("saver"),
		kong.Description("Savepoint's savers: events from NATS JetStream into PostgreSQL."))
	program.Main(func(ctx context.Context) error {
		parsed.BindTo(ctx, (*context.Context)(nil))
		return parsed.Run(&c, &output{Out: os.Stdout, Err: os.Stderr})
	})
}
