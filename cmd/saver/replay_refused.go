package main

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// unsaved counts what a replay does not save, and keeps none of it: what is no event is
// among the dead letters since the first time, and what this database refuses may be good
// for another one.
type unsaved struct {
	log               *slog.Logger
	noEvents, refused atomic.Int64
}

// Bury implements savers.DeadLetters.
func (u *unsaved) Bury(_ context.Context, msg jetstream.Msg, scope events.Scope, char events.CharID, reason string) error {
	what, count := "no event", &u.noEvents
	if isEvent(msg) {
		what, count = "event is not saved", &u.refused
	}
	count.Add(1)
	var sequence uint64
	if meta, err := msg.Metadata(); err == nil {
		sequence = meta.Sequence.Stream
	}
	u.log.Warn(what, "scope", scope, "sequence", sequence, "char_id", char, "reason", reason)
	return nil
}

// isEvent reports whether a saver can read msg, or one of a newer build can.
func isEvent(msg jetstream.Msg) bool {
	if msg.Subject() == "" {
		return true // its bytes were let go of, because it was read
	}
	meta, err := msg.Metadata()
	if err != nil {
		return false
	}
	scope, char, err := events.ParseSubject(msg.Subject())
	if err != nil {
		return false
	}
	e, err := events.Decode(msg.Data())
	return errors.Is(err, events.ErrSchemaNewer) || err == nil && e.CheckDelivery(scope, char, meta.Timestamp) == nil
}
