package rig

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// Reset is Purge and Truncate: the next case finds nothing.
func (r *Rig) Reset(ctx context.Context) error {
	if err := r.Purge(ctx); err != nil {
		return err
	}
	return r.Truncate(ctx)
}

// Purge empties the stream of changes and makes its consumers anew, so that
// they count from zero. No saver may run.
func (r *Rig) Purge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	stream, err := r.JS.Stream(ctx, bus.StreamChanges)
	if err != nil {
		return fmt.Errorf("stream %s: %w", bus.StreamChanges, err)
	}
	names := stream.ConsumerNames(ctx)
	for name := range names.Name() {
		if err := stream.DeleteConsumer(ctx, name); err != nil {
			return fmt.Errorf("delete consumer %s: %w", name, err)
		}
	}
	if err := names.Err(); err != nil {
		return fmt.Errorf("consumers of %s: %w", bus.StreamChanges, err)
	}
	if err := stream.Purge(ctx); err != nil {
		return fmt.Errorf("purge %s: %w", bus.StreamChanges, err)
	}
	return r.ensure(ctx)
}

// Truncate empties the tables and makes a checkpoint, so that the next case
// pays for its own writes alone.
func (r *Rig) Truncate(ctx context.Context) error {
	tables := []string{"transfers"}
	for _, table := range workload.Tables() {
		tables = append(tables, string(table))
	}
	for _, statement := range []string{"TRUNCATE " + strings.Join(tables, ", "), "CHECKPOINT"} {
		if _, err := r.DB.Exec(ctx, statement); err != nil {
			return fmt.Errorf("empty the tables: %w", err)
		}
	}
	return nil
}

// Check compares every row that PostgreSQL has with what the events of a
// workload lead to, and that nothing became a dead letter. The error names the
// first row that is wrong.
func (r *Rig) Check(ctx context.Context, want *workload.Final) error {
	for _, table := range workload.Tables() {
		if err := r.checkTable(ctx, table, want); err != nil {
			return fmt.Errorf("compare the rows: %w", err)
		}
	}
	if r.JS == nil {
		return nil
	}
	for _, scope := range events.Scopes() {
		if n, err := r.Bus.DeadLetters(ctx, scope); err != nil || n > 0 {
			return fmt.Errorf("%d %s events are dead letters (%w)", n, scope, err)
		}
	}
	return nil
}

func (r *Rig) checkTable(ctx context.Context, table workload.Table, want *workload.Final) error {
	rows, err := r.DB.Query(ctx, workload.Select(table))
	if err != nil {
		return err
	}
	defer rows.Close()
	wrong := want.Check(table, func(yield func(workload.StoredRow) bool) {
		for rows.Next() {
			row, err := pgx.RowToStructByPos[workload.StoredRow](rows)
			if err != nil || !yield(row) {
				return
			}
		}
	})
	rows.Close()
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read %s: %w", table, err)
	}
	return wrong
}
