package savers

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// A batch is what one transaction saves: events, each with the message that
// brought it.
type batch struct {
	events  []events.StateChanged
	msgs    []jetstream.Msg
	counted int // what size has counted, or 0
}

func (b *batch) split() (left, right *batch) {
	half := len(b.events) / 2
	return &batch{events: b.events[:half], msgs: b.msgs[:half]}, &batch{events: b.events[half:], msgs: b.msgs[half:]}
}

// batchBytes bounds what a lane lets gather, so that a saver's memory does not
// depend on what games put into their events.
const batchBytes = 1 << 20

// fits reports whether b and more are no more than most events, and not too large
// to be in memory.
func (b *batch) fits(more *batch, most int) bool {
	return len(b.msgs)+len(more.msgs) <= most && b.size()+more.size() <= batchBytes
}

func (b *batch) with(more *batch) *batch {
	return &batch{append(b.events, more.events...), append(b.msgs, more.msgs...), b.size() + more.size()}
}

// size is how large the messages are, in bytes. What grows piece by piece is asked
// for it with each of them.
func (b *batch) size() int {
	if b.counted == 0 {
		for _, msg := range b.msgs {
			b.counted += len(msg.Data())
		}
	}
	return b.counted
}

// following is how many events waited at the stream when it handed out the last of b.
func (b *batch) following() int {
	if len(b.msgs) == 0 {
		return 0
	}
	last, err := b.msgs[len(b.msgs)-1].Metadata()
	if err != nil {
		return 0 // read has refused those without
	}
	return int(min(last.NumPending, math.MaxInt32))
}

// byLane splits b by character. What names no character, as ticks do, stays together.
func (b *batch) byLane(lanes int) []*batch {
	parts := make([]*batch, lanes)
	for i := range parts {
		share := len(b.events)/lanes + len(b.events)/8
		parts[i] = &batch{events: make([]events.StateChanged, 0, share), msgs: make([]jetstream.Msg, 0, share)}
	}
	for i := range b.events {
		part := parts[laneOf(b.events[i].CharID, lanes)]
		part.events = append(part.events, b.events[i])
		part.msgs = append(part.msgs, b.msgs[i])
	}
	return parts
}

// laneOf spreads characters over lanes, neighbours among them: a multiplication
// by 2^64 divided by the golden ratio, of which the high bits count.
func laneOf(char events.CharID, lanes int) int {
	return int(uint64(char) * 0x9e3779b97f4a7c15 >> 32 % uint64(lanes))
}

func (b *batch) ack(log *slog.Logger) {
	var errs error
	for _, msg := range b.msgs {
		errs = errors.Join(errs, msg.Ack())
	}
	if errs != nil {
		log.Warn("not acknowledged; the events will come again", "events", len(b.msgs), "err", errs)
	}
}

// giveBack lets another saver have the messages at once. Those that are settled
// already take no notice.
func (b *batch) giveBack() {
	for _, msg := range b.msgs {
		_ = msg.Nak() // if it is lost, the ack wait does the same
	}
}

func (b *batch) alive() {
	for _, msg := range b.msgs {
		_ = msg.InProgress() // if it is lost, the event comes a second time
	}
}

// newerDelay and newerTries are for events of a newer build: another saver gets
// them, or this one after its upgrade; after some minutes they go to the dead
// letters, from where they can be retried.
const (
	newerDelay = 5 * time.Second
	newerTries = 60
)

// decode reads the messages. What is no event of this scope goes to the dead
// letters and the rest into the batch.
func (w *Worker) decode(ctx context.Context, msgs []jetstream.Msg) *batch {
	b := &batch{
		events: make([]events.StateChanged, 0, len(msgs)),
		msgs:   make([]jetstream.Msg, 0, len(msgs)),
	}
	for _, msg := range msgs {
		e, err := w.read(msg)
		if err == nil {
			b.events = append(b.events, e)
			b.msgs = append(b.msgs, msg)
			continue
		}
		w.refuse(ctx, msg, e.CharID, err)
	}
	return b
}

func (w *Worker) read(msg jetstream.Msg) (e events.StateChanged, err error) {
	if !w.Saver.Scope().HasState() {
		return events.StateChanged{Scope: w.Saver.Scope()}, nil // a tick says nothing but its subject
	}
	scope, char, err := events.ParseSubject(msg.Subject())
	if err != nil {
		return e, err
	}
	if e, err = events.Decode(msg.Data()); err == nil {
		err = checkDelivery(&e, scope, char, msg)
	}
	if err != nil && char != 0 {
		e.CharID = char // the subject is what the dead letters are found by
	}
	return e, err
}

// checkDelivery checks e against where and when the stream got it: roughly where that
// is enough.
func checkDelivery(e *events.StateChanged, scope events.Scope, char events.CharID, msg jetstream.Msg) error {
	if m, ok := msg.(interface{ StoredSince() time.Time }); ok {
		if since := m.StoredSince(); !since.IsZero() && e.CheckDelivery(scope, char, since) == nil {
			return nil
		}
	}
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	return e.CheckDelivery(scope, char, meta.Timestamp)
}

// refuse buries a message that cannot be read, or lets it wait for a newer saver.
func (w *Worker) refuse(ctx context.Context, msg jetstream.Msg, char events.CharID, cause error) {
	meta, err := msg.Metadata()
	if errors.Is(cause, events.ErrSchemaNewer) && err == nil && meta.NumDelivered < newerTries {
		_ = msg.NakWithDelay(newerDelay)
		return
	}
	if err := w.buryMessage(ctx, msg, char, cause); err != nil {
		w.Log.Warn("dead letter not kept; the event will come again", "err", err)
		_ = msg.NakWithDelay(newerDelay)
	}
}

// bury keeps trying to put the one event of b among the dead letters.
func (w *Worker) bury(ctx context.Context, stopping <-chan struct{}, b *batch, cause error) error {
	for try := 1; ; try++ {
		err := w.buryMessage(ctx, b.msgs[0], b.events[0].CharID, cause)
		if err == nil {
			return nil
		}
		w.Log.Warn("dead letter not kept", "attempt", try, "err", err)
		if err := w.waitToRetry(ctx, stopping, try, err); err != nil {
			return err
		}
	}
}

func (w *Worker) buryMessage(ctx context.Context, msg jetstream.Msg, char events.CharID, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, buryTimeout)
	defer cancel()
	if err := w.Dead.Bury(ctx, msg, w.Saver.Scope(), char, cause.Error()); err != nil {
		return err
	}
	w.Metrics.buried(w.Saver.Scope())
	w.Log.Warn("event is in the dead letters", "subject", msg.Subject(), "char_id", char, "reason", cause)
	return msg.TermWithReason("dead letter")
}

const buryTimeout = 5 * time.Second
