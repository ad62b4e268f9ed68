package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// Source hands out the events of one scope that nobody has saved yet.
type Source struct {
	b        *Bus
	consumer jetstream.Consumer
	scope    events.Scope
}

// Source opens the scope's durable consumer, which all savers share.
func (b *Bus) Source(ctx context.Context, scope events.Scope) (*Source, error) {
	consumer, err := b.js.Consumer(ctx, streamOf(scope), consumerName(scope))
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", consumerName(scope), unavailable(b.noted(err)))
	}
	return &Source{b: b, consumer: consumer, scope: scope}, nil
}

func streamOf(scope events.Scope) string {
	if scope == events.ScopeCleanup {
		return StreamClock
	}
	return StreamChanges
}

// Fetch returns what is waiting, at most limit messages. When nothing is
// waiting it blocks until something is, or ctx is done; it never waits for more
// than there is. What it returns is the caller's to acknowledge.
func (s *Source) Fetch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	if !s.b.nc.IsConnected() {
		return nil, s.wrap(errNotConnected) // the client would leave a subscription behind
	}
	msgs, err := s.waiting(limit)
	if err != nil || len(msgs) > 0 {
		return msgs, err
	}
	batch, err := s.consumer.Fetch(1, jetstream.FetchContext(ctx))
	if err != nil {
		return nil, s.wrap(err)
	}
	// What has come with it is left to the next call: to ask for it now would keep
	// this one from being saved for a round trip.
	msgs, err = collect(batch, nil)
	if len(msgs) > 0 {
		return msgs, nil
	}
	return nil, s.wrap(err)
}

func (s *Source) waiting(limit int) ([]jetstream.Msg, error) {
	batch, err := s.consumer.FetchNoWait(limit)
	if err != nil {
		return nil, s.wrap(err)
	}
	msgs, err := collect(batch, make([]jetstream.Msg, 0, 64))
	if len(msgs) > 0 {
		return msgs, nil
	}
	return nil, s.wrap(err)
}

// collect reads a batch to its end. That nothing came is not an error.
func collect(batch jetstream.MessageBatch, msgs []jetstream.Msg) ([]jetstream.Msg, error) {
	for msg := range batch.Messages() {
		msgs = append(msgs, msg)
	}
	err := batch.Error()
	if errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = nil
	}
	return msgs, err
}

func (s *Source) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("fetch %s events: %w", s.scope, unavailable(s.b.noted(err)))
}
