package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// HeaderTrace carries the W3C trace context. It is written in lower case:
// header names are case-sensitive in the Go client.
const HeaderTrace = "traceparent"

// Publish sends the events over one connection, their acks pipelined with those
// of all other callers, and returns when the stream has stored every one of
// them, or with an *events.UnavailableError when ctx is done. An event
// whose ack did not come may be stored all the same; sending it again is safe.
//
// trace is the caller's W3C trace context, or "".
func (b *Bus) Publish(ctx context.Context, trace string, batch ...events.StateChanged) error {
	wait, err := b.Send(trace, batch...)
	if err != nil {
		return err
	}
	return wait(ctx)
}

// Send is Publish in two steps: it returns when the events are on their way,
// with the function that waits for their acks.
func (b *Bus) Send(trace string, batch ...events.StateChanged) (wait func(context.Context) error, err error) {
	if !b.nc.IsConnected() {
		return nil, fmt.Errorf("publish: %w", unavailable(errNotConnected))
	}
	acks := make([]jetstream.PubAckFuture, len(batch))
	for i := range batch {
		if acks[i], err = b.send(&batch[i], trace); err != nil {
			return nil, fmt.Errorf("publish %s event of character %d: %w", batch[i].Scope, batch[i].CharID, err)
		}
	}
	return func(ctx context.Context) error {
		for i, ack := range acks {
			if err := stored(ctx, ack); err != nil {
				return fmt.Errorf("publish %s event of character %d: %w", batch[i].Scope, batch[i].CharID, err)
			}
		}
		return nil
	}, nil
}

func (b *Bus) send(e *events.StateChanged, trace string) (jetstream.PubAckFuture, error) {
	body, err := events.Encode(e)
	if err != nil {
		return nil, err
	}
	msg := &nats.Msg{Subject: events.Subject(e.Scope, e.CharID), Data: body}
	if trace != "" {
		msg.Header = nats.Header{HeaderTrace: []string{trace}}
	}
	ack, err := b.js.PublishMsgAsync(msg)
	return ack, unavailable(err)
}

func stored(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		return unavailable(err)
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}
