package cold

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/internal/db"
)

// A read executes one query that sqlc has written, and takes in its rows.
type read func(ctx context.Context, q *db.Queries) error

// snapshot executes reads in one round trip, all at the same moment. Each is
// called twice: for its query, which goes into a queue, and for the rows.
func (s *Store) snapshot(ctx context.Context, reads ...read) error {
	switch len(reads) {
	case 0:
		return nil
	case 1: // is of one moment by itself
		return reads[0](ctx, db.New(s.pool))
	}
	var queued pgx.Batch
	queued.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	for _, read := range reads {
		_ = read(ctx, db.Queued(&queued)) // there are no rows yet
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
		if err := read(ctx, db.Answered(results)); err != nil {
			return err
		}
	}
	_, err := results.Exec() // COMMIT
	return err
}
