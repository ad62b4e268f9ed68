package savers

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

// transact saves events in one transaction. A saver that panics has a bug.
func (w *Worker) transact(ctx context.Context, batch []events.StateChanged, timeout time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	started := time.Now()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("saver of %s panicked: %v", w.Saver.Scope(), p)
		}
	}()
	if q, ok := w.Saver.(Queuer); ok {
		err = w.sendAll(ctx, q, batch)
	} else {
		err = w.saveIn(ctx, batch)
	}
	if err != nil {
		return fmt.Errorf("save %d %s events: %w", len(batch), w.Saver.Scope(), explained(err))
	}
	w.Metrics.saved(w.Saver.Scope(), batch, time.Since(started))
	return nil
}

// sendAll sends the saver's statements as one transaction, in one round trip.
func (w *Worker) sendAll(ctx context.Context, saver Queuer, batch []events.StateChanged) error {
	var statements pgx.Batch
	if err := saver.Queue(&statements, batch); err != nil || statements.Len() == 0 {
		return err
	}
	return w.DB.SendBatch(ctx, &statements).Close()
}

// saveIn calls the saver between BEGIN and COMMIT.
func (w *Worker) saveIn(ctx context.Context, batch []events.StateChanged) error {
	tx, err := w.DB.BeginTx(ctx, pgx.TxOptions{})
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	// After a commit it does nothing. The connection may be gone; what is open
	// in it is then gone too.
	defer func() { _ = tx.Rollback(ctx) }()
	if err := w.Saver.Save(ctx, tx, batch); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// afterCommit does what follows a commit: it clears marks and calls the saver's
// AfterCommit. The lane's next transaction does not wait for it, the one after that does.
func (w *Worker) afterCommit(ctx context.Context, b *batch) {
	ctx, cancel := context.WithTimeout(ctx, afterCommitTimeout)
	defer cancel()
	if w.Marks != nil && w.Saver.Scope().HasState() {
		if err := w.Marks.Saved(ctx, b.events); err != nil {
			w.Log.Warn("marks not cleared; cleanup will", "events", len(b.events), "err", err)
		}
	}
	if after, ok := w.Saver.(AfterCommitter); ok {
		if err := after.AfterCommit(ctx, b.events); err != nil {
			w.Log.Warn("after commit", "events", len(b.events), "err", err)
		}
	}
}

// afterCommitTimeout bounds what follows a commit, so that a slow Redis holds
// up no saves for longer.
const afterCommitTimeout = 30 * time.Second
