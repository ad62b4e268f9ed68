package savers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

// saveInHand saves a batch to the end: each event is stored and acknowledged, or
// buried, or given back because the worker stops or it does not get through. What is
// stored goes to saved.
func (w *Worker) saveInHand(ctx context.Context, stopping <-chan struct{}, lane int, b *batch, saved chan<- *batch) {
	select {
	case <-stopping:
		b.giveBack()
		return
	default:
	}
	least := w.SaveTimeout
	if lane != w.asideLane() {
		least = leastTimeout
		if b = w.withoutAside(b); len(b.events) == 0 {
			return
		}
	}
	if err := w.save(ctx, stopping, b, w.SaveTimeout, least, saved); err != nil {
		b.giveBack()
		w.Log.Warn("batch given back", "events", len(b.events), "err", err)
	}
}

const (
	maxTries = 5 // with an unknown error, of one event alone, before it is taken for a bad one
	// leastTimeout is how long the smallest part of a batch that is stuck may take; then
	// its characters are saved one by one.
	leastTimeout = time.Second
)

// save stores b, or the parts of it that can be stored now: a batch with an event
// that cannot is cut in half until that event is alone, and one that is stuck until a
// part of it may take no more than least. The error means that the worker stops.
func (w *Worker) save(ctx context.Context, stopping <-chan struct{}, b *batch, timeout, least time.Duration, saved chan<- *batch) error {
	for try, unknown := 1, 0; ; try++ {
		err := w.transact(ctx, b.events, timeout)
		if err == nil {
			w.acknowledge(b, saved)
			return nil
		}
		kind := KindOf(err)
		w.Metrics.failed(w.Saver.Scope(), kind)
		if kind == KindBug {
			unknown++
		}
		switch {
		case kind == KindTransient:
			w.Log.Warn("batch not saved", "events", len(b.events), "attempt", try, "err", err)
		case kind == KindStuck && b.ofOne():
			w.setAside(b, err)
			return nil
		case kind == KindStuck && timeout <= least:
			return w.saveOneByOne(ctx, stopping, b, least, saved)
		case len(b.events) > 1:
			if kind == KindStuck {
				timeout = max(timeout/2, least)
			}
			left, right := b.split()
			return errors.Join(w.save(ctx, stopping, left, timeout, least, saved), w.save(ctx, stopping, right, timeout, least, saved))
		case kind == KindBad || unknown >= maxTries:
			w.bury(ctx, b.msgs[0], b.events[0].CharID, err)
			return nil
		}
		if err := w.waitToRetry(ctx, stopping, try, err); err != nil {
			return err
		}
	}
}

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

// acknowledge settles what is committed, and passes it on to those who tell of it.
// From here on nothing can be lost: an ack that is lost makes the event come again.
func (w *Worker) acknowledge(b *batch, saved chan<- *batch) {
	b.ack(w.Log)
	w.aside.drop(b.events)
	saved <- b
}

// afterCommit tells those who wait for what is committed. The next transaction does
// not wait for it, the one after that does.
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

// waitToRetry waits before the next try. The error means that the worker stops.
func (w *Worker) waitToRetry(ctx context.Context, stopping <-chan struct{}, try int, cause error) error {
	timer := time.NewTimer(w.delay(try))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-stopping:
	case <-ctx.Done():
	}
	return fmt.Errorf("stopped while retrying: %w", cause)
}

func (w *Worker) pause(ctx context.Context, try int) {
	timer := time.NewTimer(w.delay(try))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (w *Worker) delay(try int) time.Duration { return w.Backoff << min(try-1, 6) }
