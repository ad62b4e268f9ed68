package baseline

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// oneFetch is how many messages are fetched at a time and shared out among the
// workers: enough that none waits for the stream.
const oneFetch = 512

func runOne(ctx context.Context, c Config) (r Result, err error) {
	consumer, nc, done, err := subscribe(ctx, c, jetstream.AckExplicitPolicy)
	if err != nil {
		return r, err
	}
	defer done()
	pool, err := openPool(ctx, c.Postgres, c.Workers)
	if err != nil {
		return r, err
	}
	defer pool.Close()
	clock, err := startClock(c.Servers)
	if err != nil {
		return r, err
	}
	group, working := errgroup.WithContext(ctx)
	batches, msgs := make(chan []jetstream.Msg, 1), make(chan jetstream.Msg, c.Workers)
	group.Go(func() error { return fetchAll(working, consumer, c.Workload.Events, oneFetch, batches) })
	group.Go(func() error {
		defer close(msgs)
		for batch := range batches {
			for _, msg := range batch {
				select {
				case msgs <- msg:
				case <-working.Done():
					return working.Err()
				}
			}
		}
		return nil
	})
	save := saveEvent(saveRows)
	if c.AtOnce {
		save = saveAtOnce(queuers())
	}
	for range c.Workers {
		group.Go(func() error {
			for msg := range msgs {
				if err := saveOne(working, pool, save, msg); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return r, err
	}
	if err := awaitAcks(ctx, consumer, nc, c.Workload.Events); err != nil {
		return r, err
	}
	return clock.stop(c.Workload.Events)
}

// saveEvent saves one event inside an open transaction.
type saveEvent func(ctx context.Context, tx pgx.Tx, e *events.StateChanged) error

func saveAtOnce(known map[events.Scope]savers.Queuer) saveEvent {
	return func(ctx context.Context, tx pgx.Tx, e *events.StateChanged) error {
		return known[e.Scope].Save(ctx, tx, []events.StateChanged{*e})
	}
}

func saveOne(ctx context.Context, pool *pgxpool.Pool, save saveEvent, msg jetstream.Msg) error {
	e, err := events.Decode(msg.Data())
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error { return save(ctx, tx, &e) })
	if err != nil {
		return fmt.Errorf("save one %s event: %w", e.Scope, err)
	}
	return msg.Ack()
}

// openPool makes a pool whose connections are made already.
func openPool(ctx context.Context, url string, conns int) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = int32(conns)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	held := make([]*pgxpool.Conn, 0, conns)
	for range conns {
		conn, err := pool.Acquire(ctx)
		if err != nil {
			break
		}
		held = append(held, conn)
	}
	for _, conn := range held {
		conn.Release()
	}
	if len(held) < conns {
		pool.Close()
		return nil, fmt.Errorf("only %d of %d connections", len(held), conns)
	}
	return pool, nil
}
