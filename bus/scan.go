package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// scan calls yield with each event of a scope that is stored now, from a sequence
// on and in the order of the sequences, until it returns false. An ordered consumer
// reads them, five times as fast as pages. It is for much of the stream: it costs
// the server a consumer, which is gone when scan returns.
func (b *Bus) scan(ctx context.Context, scope events.Scope, from uint64, yield func(*jetstream.RawStreamMsg) bool) error {
	stream, err := b.js.Stream(ctx, StreamChanges)
	if err != nil {
		return unavailable(b.noted(err))
	}
	filter := events.ScopeSubject(scope) + ".*"
	last, err := stream.GetLastMsgForSubject(ctx, filter)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err != nil:
		return unavailable(err)
	case last.Sequence < from:
		return nil // it would wait for the next one
	}
	consumer, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{filter},
		DeliverPolicy:  jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:    max(from, 1),
	})
	if err != nil {
		return unavailable(err)
	}
	msgs, err := consumer.Messages(jetstream.PullMaxBytes(readBytes))
	if err != nil {
		return unavailable(err)
	}
	defer msgs.Stop()
	for {
		msg, err := nextOf(ctx, msgs)
		if err != nil {
			return unavailable(fmt.Errorf("next event of %s: %w", scope, err))
		}
		if !yield(msg) || msg.Sequence >= last.Sequence {
			return nil
		}
	}
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
