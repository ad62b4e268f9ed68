package savers

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
)

// newerTries is how often an event of a newer build is handed out, to another saver or to
// this one after its upgrade, before it goes to the dead letters, from where it can be
// retried: after some minutes. Where many come, they go there at once (mostWait).
const newerTries = 60

// buriedAtOnce is how many messages are on their way to the dead letters at a time: one
// by one, half of a backlog that had to be buried took forty times as long as the half
// that was saved.
const buriedAtOnce = 32

// decode reads the messages into b. What is no event of this scope goes to the dead
// letters.
func (w *Worker) decode(ctx context.Context, msgs []jetstream.Msg, b *batch) {
	var refused errgroup.Group
	refused.SetLimit(buriedAtOnce)
	defer func() { _ = refused.Wait() }() // each settles its own
	for _, msg := range msgs {
		n := len(b.events)
		b.events = append(b.events, events.StateChanged{})
		if err := w.read(msg, &b.events[n]); err != nil {
			char := b.events[n].CharID
			refused.Go(func() error {
				w.refuse(ctx, msg, char, err)
				return nil
			})
			b.events = b.events[:n]
			continue
		}
		b.msgs = append(b.msgs, msg)
	}
}

func (w *Worker) read(msg jetstream.Msg, e *events.StateChanged) error {
	if !w.Saver.Scope().HasState() {
		e.Scope = w.Saver.Scope()
		return nil // a tick says nothing but its subject
	}
	scope, char, err := events.ParseSubject(msg.Subject())
	if err != nil {
		return err
	}
	if err = events.DecodeInto(msg.Data(), e); err == nil {
		err = checkDelivery(e, scope, char, msg)
	}
	if err != nil && char != 0 {
		e.CharID = char // dead letters are found by the subject's
	}
	return err
}

// checkDelivery checks e against the subject and time at which the stream stored it; a
// rough time, which is cheap, where that is enough.
func checkDelivery(e *events.StateChanged, scope events.Scope, char events.CharID, msg jetstream.Msg) error {
	if m, ok := msg.(storedSincer); ok {
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
	if errors.Is(cause, events.ErrSchemaNewer) && err == nil && !w.RefuseNewer && meta.NumDelivered < newerTries && w.newer.mayWait(time.Now()) {
		_ = msg.NakWithDelay(retryLater)
		return
	}
	w.bury(ctx, msg, char, cause)
}
