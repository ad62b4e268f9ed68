package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// scan calls yield with each event of a scope that is stored now, from a sequence
// on and in the order of the sequences, until it returns false. An ordered consumer
// reads them, five times as fast as pages. It is for much of the stream: it costs
// the server a consumer, which is gone when scan returns.
func (b *Bus) scan(ctx context.Context, scope events.Scope, from uint64, yield func(*jetstream.RawStreamMsg) bool) error {
	from = max(from, 1)
	if !b.nc.IsConnected() {
		return Unavailable(ErrNotConnected)
	}
	consumer, last, err := b.ordered(ctx, events.ScopeSubject(scope)+".*", from)
	if err != nil {
		return Unavailable(b.SuspectIfGone(err))
	}
	if last < from {
		return nil // it would wait for the next one
	}
	msgs, err := consumer.Messages(jetstream.PullMaxBytes(b.RequestBytes(readBytes)))
	if err != nil {
		return Unavailable(err)
	}
	defer msgs.Stop()
	for {
		msg, err := nextOf(ctx, msgs)
		if err != nil {
			return Unavailable(fmt.Errorf("next event of %s: %w", scope, err))
		}
		if !yield(msg) || msg.Sequence >= last {
			return nil
		}
	}
}

// ordered returns a consumer of a subject from a sequence on, and the sequence of
// the last event there is now, which is below from if there is none to read.
func (b *Bus) ordered(ctx context.Context, subject string, from uint64) (jetstream.Consumer, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	newest, err := b.get(ctx, StreamChanges, lastOf(subject))
	switch {
	case err != nil || newest == nil:
		return nil, 0, err
	case newest.Sequence < from:
		return nil, newest.Sequence, nil
	}
	consumer, err := b.js.OrderedConsumer(ctx, StreamChanges, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{subject},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:    from,
	})
	return consumer, newest.Sequence, err
}

func nextOf(ctx context.Context, msgs jetstream.MessagesContext) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	msg, err := msgs.Next(jetstream.NextContext(ctx))
	if err != nil {
		return nil, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	return &jetstream.RawStreamMsg{
		Subject: msg.Subject(), Sequence: meta.Sequence.Stream, Header: msg.Headers(), Data: msg.Data(), Time: meta.Timestamp,
	}, nil
}
