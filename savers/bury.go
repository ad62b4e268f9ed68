package savers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// bury puts an event among the dead letters. Where that does not work now, as when they
// are full, the event comes again later, and holds up nobody meanwhile. Where they are
// full and many events wait already, it is given up: the stream keeps it until it is too
// old.
func (w *Worker) bury(ctx context.Context, msg jetstream.Msg, char events.CharID, cause error) {
	err := w.tryToBury(ctx, msg, char, cause)
	switch {
	case err == nil:
	case isFull(err) && !w.unburied.mayWait(time.Now()):
		w.giveUp(msg, char, cause, err)
	default:
		w.Log.Warn("dead letter not kept; the event will come again", "char_id", char, "reason", cause, "err", err)
		_ = msg.NakWithDelay(retryLater)
	}
}

// giveUp settles an event that is neither saved nor among the dead letters. It says where
// in the stream it is: nothing else does.
func (w *Worker) giveUp(msg jetstream.Msg, char events.CharID, cause, err error) {
	var sequence uint64
	if meta, err := msg.Metadata(); err == nil {
		sequence = meta.Sequence.Stream
	}
	w.Log.Error("event given up: it cannot be saved, and there is no room for its dead letter; the stream has it until it is too old",
		"sequence", sequence, "subject", msg.Subject(), "char_id", char, "reason", cause, "err", err)
	w.Metrics.buried(w.Saver.Scope())
	_ = msg.TermWithReason("no room among the dead letters") // if it is lost, the event comes again
}

// isFull reports whether the server answered that there is no room for a message. A
// server that is away does not answer; then everything waits.
func isFull(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && slices.Contains(noRoom[:], refused.ErrorCode)
}

// noRoom are the error codes for publishing to a stream, an account and a server that are
// full.
var noRoom = [...]jetstream.ErrorCode{10077, 10002, 10023}

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

// A retryQuota bounds how many events are sent to wait within retryLater.
type retryQuota struct {
	mu    sync.Mutex
	since time.Time
	count int
}

// mostWait is how many events of a kind may wait: they count as handed out, of which the
// server allows a limited number (maxAckPending of the bus).
const mostWait = 1000

// mayWait reports whether one more may wait.
func (q *retryQuota) mayWait(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.since) > retryLater {
		q.since, q.count = now, 0
	}
	q.count++
	return q.count <= mostWait
}
