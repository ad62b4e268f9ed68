package savers

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// bury puts an event among the dead letters. Where that does not work now, as when they
// are full, the event comes again, and holds up nobody meanwhile.
func (w *Worker) bury(ctx context.Context, msg jetstream.Msg, char events.CharID, cause error) {
	if err := w.tryToBury(ctx, msg, char, cause); err != nil {
		w.Log.Warn("dead letter not kept; the event will come again", "char_id", char, "reason", cause, "err", err)
		_ = msg.NakWithDelay(retryLater)
	}
}

func (w *Worker) tryToBury(ctx context.Context, msg jetstream.Msg, char events.CharID, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, buryTimeout)
	defer cancel()
	err := w.Dead.Bury(ctx, msg, w.Saver.Scope(), char, cause.Error())
	if errors.Is(err, events.ErrGone) { // nothing is left to be kept
		w.Log.Warn("event cannot be saved, and is not in the stream any more", "char_id", char, "reason", cause, "err", err)
		return msg.Term()
	}
	if err != nil {
		return err
	}
	w.Metrics.buried(w.Saver.Scope())
	return msg.TermWithReason("dead letter")
}

const buryTimeout = 5 * time.Second
