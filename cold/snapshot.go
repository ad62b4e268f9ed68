package cold

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/savepoint-games/savepoint/internal/db"
)

// A read executes one query that sqlc has written, and takes in its rows.
type read func(ctx context.Context, q *db.Queries) error

// snapshot executes reads in one round trip, all at the same moment. Each is
// called twice: for its query, which goes into a queue, and for the rows.
func (s *Store) snapshot(ctx context.Context, reads ...read) error {
	var queued pgx.Batch
	queued.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	for _, read := range reads {
		_ = read(ctx, db.New(queue{&queued})) // errQueued
	}
	queued.Queue("COMMIT")
	results := s.pool.SendBatch(ctx, &queued)
	err := readResults(ctx, results, reads)
	if closed := results.Close(); err == nil {
		err = closed
	}
	return err
}

func readResults(ctx context.Context, results pgx.BatchResults, reads []read) error {
	if _, err := results.Exec(); err != nil { // BEGIN
		return err
	}
	for _, read := range reads {
		if err := read(ctx, db.New(answers{results})); err != nil {
			return err
		}
	}
	_, err := results.Exec() // COMMIT
	return err
}

var (
	errQueued   = errors.New("a queued query has no rows yet")
	errReadOnly = errors.New("a snapshot reads lists of rows only")
)

// queue takes queries in.
type queue struct{ batch *pgx.Batch }

func (q queue) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	q.batch.Queue(sql, args...)
	return nil, errQueued
}

func (queue) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, errReadOnly
}
func (queue) QueryRow(context.Context, string, ...any) pgx.Row { return noRow{} }

// answers gives the rows of what was queued, in turn.
type answers struct{ results pgx.BatchResults }

func (a answers) Query(context.Context, string, ...any) (pgx.Rows, error) { return a.results.Query() }

func (answers) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, errReadOnly
}
func (answers) QueryRow(context.Context, string, ...any) pgx.Row { return noRow{} }

type noRow struct{}

func (noRow) Scan(...any) error { return errReadOnly }
