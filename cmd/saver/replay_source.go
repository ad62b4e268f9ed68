package main

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
)

// windowed is a source without the events that a replay is not about.
type windowed struct {
	source *intake.Source
	replay *replay
}

// Fetch implements savers.Source.
func (w *windowed) Fetch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	msgs, err := w.source.Fetch(ctx, limit)
	kept := msgs[:0]
	for _, msg := range msgs {
		if w.wanted(msg) {
			kept = append(kept, msg)
			continue
		}
		w.replay.passed.Add(1)
		if err := msg.Ack(); err != nil {
			return kept, err
		}
	}
	return kept, err
}

func (w *windowed) wanted(msg jetstream.Msg) bool {
	meta, err := msg.Metadata()
	if err != nil {
		return false
	}
	cmd := &w.replay.cmd
	if !cmd.Until.IsZero() && !meta.Timestamp.Before(cmd.Until) {
		return false
	}
	if cmd.Char == 0 {
		return true
	}
	if _, char, err := events.ParseSubject(msg.Subject()); err == nil && char != 0 {
		return char == cmd.Char.id()
	}
	e, err := events.Decode(msg.Data())
	return err == nil && e.CharID == cmd.Char.id()
}
