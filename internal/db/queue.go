package db

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Queued puts statements into a queue rather than executing them: those that
// return rows fail, and are in the queue all the same.
func Queued(batch *pgx.Batch) *Queries { return New(queue{batch}) }

// Answered gives, for each statement that was queued, in turn, what it led to.
func Answered(results pgx.BatchResults) *Queries { return New(answers{results}) }

var errQueued = errors.New("a queued statement has no rows yet")

type queue struct{ batch *pgx.Batch }

func (q queue) Exec(_ context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	q.batch.Queue(sql, args...)
	return pgconn.CommandTag{}, nil
}

func (q queue) Query(_ context.Context, sql string, args ...any) (pgx.Rows, error) {
	q.batch.Queue(sql, args...)
	return nil, errQueued
}

func (q queue) QueryRow(_ context.Context, sql string, args ...any) pgx.Row {
	q.batch.Queue(sql, args...)
	return noRow{}
}

type noRow struct{}

func (noRow) Scan(...any) error { return errQueued }

type answers struct{ results pgx.BatchResults }

func (a answers) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return a.results.Exec()
}
func (a answers) Query(context.Context, string, ...any) (pgx.Rows, error) { return a.results.Query() }
func (a answers) QueryRow(context.Context, string, ...any) pgx.Row        { return a.results.QueryRow() }
