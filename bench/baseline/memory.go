package baseline

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

func runMemory(ctx context.Context, c Config) (r Result, err error) {
	lanes := make([][]events.StateChanged, c.Conns)
	for e := range workload.Generate(c.Workload) {
		i := int(e.CharID) % c.Conns
		lanes[i] = append(lanes[i], e)
	}
	pool, err := openPool(ctx, c.Postgres, c.Conns)
	if err != nil {
		return r, err
	}
	defer pool.Close()
	clock, err := startClock(c.Servers)
	if err != nil {
		return r, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, lane := range lanes {
		group.Go(func() error { return saveLane(ctx, pool, lane, c.Batch) })
	}
	if err := group.Wait(); err != nil {
		return r, err
	}
	return clock.stop(c.Workload.Events)
}

// saveLane saves events batch by batch, each in one transaction.
func saveLane(ctx context.Context, pool *pgxpool.Pool, lane []events.StateChanged, size int) error {
	known := queuers()
	for len(lane) > 0 {
		batch := lane[:min(size, len(lane))]
		lane = lane[len(batch):]
		if err := saveBatch(ctx, pool, known, batch); err != nil {
			return err
		}
	}
	return nil
}

// saveBatch saves events in one transaction, by the product's statements.
func saveBatch(ctx context.Context, pool *pgxpool.Pool, known map[events.Scope]savers.Queuer, batch []events.StateChanged) error {
	var statements pgx.Batch
	for scope, part := range byScope(batch) {
		if err := known[scope].Queue(&statements, part); err != nil {
			return err
		}
	}
	if err := pool.SendBatch(ctx, &statements).Close(); err != nil {
		return fmt.Errorf("save %d events: %w", len(batch), err)
	}
	return nil
}

func byScope(batch []events.StateChanged) map[events.Scope][]events.StateChanged {
	first := batch[0].Scope
	for i := range batch {
		if batch[i].Scope != first {
			return dealByScope(batch)
		}
	}
	return map[events.Scope][]events.StateChanged{first: batch}
}

func dealByScope(batch []events.StateChanged) map[events.Scope][]events.StateChanged {
	parts := map[events.Scope][]events.StateChanged{}
	for _, e := range batch {
		parts[e.Scope] = append(parts[e.Scope], e)
	}
	return parts
}
