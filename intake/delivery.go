package intake

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A batch is what was handed out together: it knows how much of it is still in
// hand.
type batch struct {
	last  uint64       // the sequence of its last message, in the stream
	acked bool         // the server waits to hear of each message
	nc    *nats.Conn   // by which it hears of them
	since time.Time    // when its first message was stored, of those that come in order
	left  atomic.Int64 // so many messages are in hand
	// Of a reader's: its last message's sequence in the consumer, and those of all.
	consumer uint64
	of       bitmap
	back     atomic.Bool              // one at least was given back
	over     func()                   // called when none is in hand any more, or one is given back, unless nil
	saved    func(header nats.Header) // called for each event that is saved
}

// handOut adds messages to the batch.
func (b *batch) handOut(msgs []jetstream.Msg) []jetstream.Msg {
	b.left.Add(int64(len(msgs)))
	all := make([]delivery, len(msgs)) // one allocation for all
	out := make([]jetstream.Msg, len(msgs))
	for i, msg := range msgs {
		all[i].Msg, all[i].batch, all[i].header = msg, b, msg.Headers()
		out[i] = &all[i]
	}
	return out
}

// A delivery is a message of a batch. It is settled once, by what comes first.
type delivery struct {
	jetstream.Msg
	batch  *batch
	header nats.Header // looked up while the message is in the caches
	over   atomic.Bool
}

// StoredSince returns a time before which the message was not stored, by the server's
// clock, and zero where only its metadata tell: to read these takes a twentieth of a
// saver's time.
func (d *delivery) StoredSince() time.Time { return d.batch.since }

// Release lets go of the message's bytes, which are two thirds of what a saver holds of
// an event that it has decoded, and reports whether it has. What settles the message, and
// its Metadata, work as before; Bury reads it from the stream. A message that the server
// waits for keeps its bytes: they are as large as what settles it.
func (d *delivery) Release() bool {
	if d.batch.acked {
		return false
	}
	d.Msg = released{reply: d.Reply()}
	return true
}

// Released reports whether Release has let go of the message's bytes.
func (d *delivery) Released() bool {
	_, ok := d.Msg.(released)
	return ok
}

// settle takes the message out of the batch, and tells the server before where that
// waits for it: who sees that nothing is in hand may count on every ack being on
// its way.
func (d *delivery) settle(back bool, tell func() error) error {
	if d.over.Swap(true) {
		return jetstream.ErrMsgAlreadyAckd
	}
	var err error
	if d.batch.acked {
		err = tell()
	}
	if back {
		d.batch.back.Store(true)
	}
	if (d.batch.left.Add(-1) == 0 || back) && d.batch.over != nil {
		d.batch.over()
	}
	return err
}

// Ack says that the event is saved.
func (d *delivery) Ack() error { return d.save(d.Msg.Ack) }

func (d *delivery) DoubleAck(ctx context.Context) error {
	return d.save(func() error { return d.Msg.DoubleAck(ctx) })
}

func (d *delivery) save(tell func() error) error {
	err := d.settle(false, tell)
	d.batch.saved(d.header)
	return err
}

func (d *delivery) Term() error { return d.settle(false, d.Msg.Term) }

func (d *delivery) TermWithReason(reason string) error {
	return d.settle(false, func() error { return d.Msg.TermWithReason(reason) })
}

func (d *delivery) Nak() error { return d.settle(true, d.Msg.Nak) }

func (d *delivery) NakWithDelay(delay time.Duration) error {
	return d.settle(true, func() error { return d.Msg.NakWithDelay(delay) })
}

func (d *delivery) InProgress() error {
	switch {
	case d.over.Load():
		return jetstream.ErrMsgAlreadyAckd
	case d.batch.acked:
		return d.Msg.InProgress()
	default:
		return nil // nobody waits for it
	}
}
