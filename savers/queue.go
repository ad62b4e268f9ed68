package savers

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

// A Queuer is a Saver that executes statements and needs no answer to go on.
// The worker sends all statements of a batch at once, as one transaction: one
// round trip where Save within BEGIN and COMMIT takes three or more, and rows
// are locked for no longer than the server works on them, however far away it is.
type Queuer interface {
	Saver
	// Queue adds the statements that Save would execute, and nothing that
	// begins or ends a transaction.
	Queue(q *pgx.Batch, batch []events.StateChanged) error
}

// saveQueued is Save for a Queuer.
func saveQueued(ctx context.Context, tx pgx.Tx, s Queuer, batch []events.StateChanged) error {
	var q pgx.Batch
	if err := s.Queue(&q, batch); err != nil || q.Len() == 0 {
		return err
	}
	return tx.SendBatch(ctx, &q).Close()
}
