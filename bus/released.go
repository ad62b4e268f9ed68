package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// A released message is what is left of one whose bytes were let go of: where it is in the
// stream. Nothing is to be settled of it.
type released struct {
	jetstream.Msg
	reply string
}

func (r released) Metadata() (*jetstream.MsgMetadata, error) {
	// The client reads metadata for messages of a subscription, whichever it is.
	old, err := (&nats.Msg{Reply: r.reply, Sub: new(nats.Subscription)}).Metadata()
	if err != nil {
		return nil, err
	}
	return &jetstream.MsgMetadata{
		Sequence:     jetstream.SequencePair{Stream: old.Sequence.Stream, Consumer: old.Sequence.Consumer},
		NumDelivered: old.NumDelivered, NumPending: old.NumPending, Timestamp: old.Timestamp,
		Stream: old.Stream, Consumer: old.Consumer, Domain: old.Domain,
	}, nil
}

func (r released) Reply() string      { return r.reply }
func (released) Subject() string      { return "" }
func (released) Headers() nats.Header { return nil }
func (released) Data() []byte         { return nil }

// original returns a message as the stream has it: from the stream, where its bytes
// were let go of. The error is events.ErrGone where that has it no more.
func (b *Bus) original(ctx context.Context, msg jetstream.Msg, meta *jetstream.MsgMetadata) (*jetstream.RawStreamMsg, error) {
	d, ok := msg.(*delivery)
	if ok {
		_, ok = d.Msg.(released)
	}
	if !ok {
		return &jetstream.RawStreamMsg{Subject: msg.Subject(), Header: msg.Headers(), Data: msg.Data()}, nil
	}
	stored, err := b.get(ctx, meta.Stream, atSequence(meta.Sequence.Stream))
	if err != nil {
		return nil, err
	}
	// A stream that has lost its end, or was made anew, has another one there.
	if stored == nil || !stored.Time.Equal(meta.Timestamp) {
		return nil, fmt.Errorf("%s has no message %d of %s: %w", meta.Stream, meta.Sequence.Stream, meta.Timestamp, events.ErrGone)
	}
	return stored, nil
}
