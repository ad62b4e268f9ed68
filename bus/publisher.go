package bus

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// HeaderTrace carries the W3C trace context. It is written in lower case:
// header names are case-sensitive in the Go client.
const HeaderTrace = "traceparent"

// Publish sends the events over one connection, their acks pipelined with those
// of all other callers, and returns when the stream has stored every one of
// them, or with an *events.UnavailableError when ctx is done. An event
// whose ack did not come may be stored all the same; sending it again is safe.
func (b *Bus) Publish(ctx context.Context, batch ...events.StateChanged) error {
	wait, err := b.Send(game.Origin{}, batch...)
	if err != nil {
		return err
	}
	return wait(ctx)
}

// HeaderRequest keeps, beside an event, the request that led to it and its
// answer: the idempotency key, a space, and the record.
const HeaderRequest = "Savepoint-Request"

// Send is Publish in two steps: it returns when the events are on their way,
// with the function that waits for their acks. The last event keeps the request:
// where it is stored, the others are.
func (b *Bus) Send(origin game.Origin, batch ...events.StateChanged) (wait func(context.Context) error, err error) {
	if !b.nc.IsConnected() {
		return nil, fmt.Errorf("publish: %w", Unavailable(ErrNotConnected))
	}
	var saved []string
	if origin.Saved != nil {
		saved = b.saves.expect(len(batch), origin.Saved)
	}
	sent := make([]pending, len(batch))
	for i := range batch {
		of := origin
		if i < len(batch)-1 {
			of.Request = game.Request{}
		}
		header := headerOf(of)
		if saved != nil {
			header[HeaderSaved] = saved[i : i+1]
		}
		if sent[i], err = b.send(&batch[i], header); err != nil {
			return nil, fmt.Errorf("publish %s event of character %d: %w", batch[i].Scope, batch[i].CharID, err)
		}
	}
	return func(ctx context.Context) error {
		for i, one := range sent {
			if _, err := one.wait(ctx); b.SuspectIfGone(err) != nil {
				return fmt.Errorf("publish %s event of character %d: %w", batch[i].Scope, batch[i].CharID, Unavailable(err))
			}
		}
		return nil
	}, nil
}

func (b *Bus) send(e *events.StateChanged, header nats.Header) (pending, error) {
	room := bodies.Get().(*[]byte)
	defer bodies.Put(room) // the connection has copied what it was given
	body, err := events.Append((*room)[:0], e)
	if err != nil {
		return pending{}, err
	}
	*room = body
	sent, err := b.acks.request(b.nc, &nats.Msg{Subject: events.Subject(e.Scope, e.CharID), Header: header, Data: body})
	return sent, Unavailable(err)
}

// bodies has the room of events that were sent.
var bodies = sync.Pool{New: func() any {
	room := make([]byte, 0, 512)
	return &room
}}

// largestRequest is less than the 64 KiB of headers that the server takes with a message.
const largestRequest = 63 << 10

// headerOf is nil for nothing; most events have none. What is too long is left out: with
// it the event would not be stored.
func headerOf(origin game.Origin) nats.Header {
	if len(origin.Trace) > longestTrace {
		origin.Trace = ""
	}
	if len(origin.Request.Record) > largestRequest {
		origin.Request = game.Request{}
	}
	if origin.Trace == "" && origin.Request.Key == "" && origin.Saved == nil {
		return nil
	}
	header := nats.Header{}
	if origin.Trace != "" {
		header[HeaderTrace] = []string{origin.Trace}
	}
	if r := origin.Request; r.Key != "" {
		header[HeaderRequest] = []string{r.Key + " " + r.Record}
	}
	return header
}
