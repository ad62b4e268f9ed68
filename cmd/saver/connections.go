package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/cold"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/secret"
)

// connections are the three servers, for a command's lifetime.
type connections struct {
	hot    *hot.Store
	bus    *bus.Bus
	intake *intake.Intake // on the bus
	pool   *pgxpool.Pool
	cold   *cold.Store
	// publishBy is that of the gateways.
	publishBy time.Duration
}

func open(ctx context.Context, c *cli, name string, log *slog.Logger) (*connections, error) {
	hot.LogTo(log)
	store, err := hot.Open(c.RedisURL)
	if err != nil {
		return nil, err
	}
	stream, err := bus.Connect(c.NATSURL, name, log)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	pool, err := cold.OpenPool(ctx, c.DatabaseURL, poolSize)
	if err != nil {
		stream.Close(ctx)
		return nil, errors.Join(err, store.Close())
	}
	return &connections{
		hot: store, bus: stream, intake: intake.New(stream, log), pool: pool, cold: cold.New(pool),
		publishBy: gateway.PublishBy(c.PublishTimeout),
	}, nil
}

// poolSize is a connection for each of the two lanes of each scope, and some for
// cleanup's questions and scopes of your own.
const poolSize = 16

// close sends the last acknowledgements before it hangs up.
func (c *connections) close(ctx context.Context) {
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	c.intake.Close(drain)
	c.bus.Close(drain)
	c.pool.Close()
	_ = c.hot.Close() // nothing is buffered
}

// service orders saves and repairs. No player waits for them, so they may give the
// servers more time. But they publish what they have read no later than a gateway would
// (publishBy): after that a character may be joined without it.
func (c *connections) service(cause events.Cause, log *slog.Logger) *gateway.Service {
	return gateway.New(gateway.Config{
		Hot: c.hot, Stream: c.bus, Mirror: c.bus.Mirror(), Cold: c.cold, Log: log,
		Cause: cause, PublishTimeout: 2 * time.Second, PublishBy: c.publishBy,
	})
}

// connected runs a command that needs NATS at once.
func connected(ctx context.Context, c *cli, out *output, do func(context.Context, *connections) error) error {
	conns, err := open(ctx, c, "savepoint-tool", c.Logger(out.Err))
	if err != nil {
		return err
	}
	defer conns.close(ctx)
	if err := conns.await(ctx); err != nil {
		return fmt.Errorf("%w (NATS_URL is %s)", err, secret.URLs(c.NATSURL))
	}
	return do(ctx, conns)
}

// commandTimeout bounds the commands that only ask.
const commandTimeout = 15 * time.Second

// await returns when NATS answers, or with what it last said.
func (c *connections) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	for {
		err := c.bus.Ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
