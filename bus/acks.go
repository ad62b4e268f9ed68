package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-faster/jx"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// mostUnacked bounds the publishes that wait for their ack. More than 1,000 buys
	// no rate; beyond it a publisher waits for its turn.
	mostUnacked = 4000
	// turnTimeout is how long it waits.
	turnTimeout = 200 * time.Millisecond
	// ackTimeout frees the place of a publish that nobody answers.
	ackTimeout = 2 * time.Second
)

// acks are the stream's answers to what one connection publishes. They come in by
// one subscription, and so by one goroutine; it only finds who waits for each, who
// reads it. The client's own way (PublishMsgAsync) also decodes them there and has a
// timer for each: a player's answer then waits for those before it (decision 14).
type acks struct {
	inbox[chan *nats.Msg]
	room chan struct{} // has a value for each publish under way
}

// listen subscribes to the acks of what nc publishes.
func (a *acks) listen(nc *nats.Conn) error {
	a.room = make(chan struct{}, mostUnacked)
	return a.inbox.listen(nc, nc.NewInbox(), ackTimeout, a.answer)
}

// answer ends a publish; msg is nil where no answer came.
func (a *acks) answer(to chan *nats.Msg, msg *nats.Msg) {
	to <- msg
	<-a.room
}

// request publishes msg and returns at once.
func (a *acks) request(nc *nats.Conn, msg *nats.Msg) (pending, error) {
	p, err := a.expect()
	if err != nil {
		return p, err
	}
	msg.Reply = a.subject(p.n)
	if err := nc.PublishMsg(msg); err != nil {
		a.giveUp(p)
		return p, err
	}
	return p, nil
}

var errUnacked = errors.New("too many publishes wait for their ack")

// expect takes a place for a publish, which is waited for if there is none.
func (a *acks) expect() (pending, error) {
	for _, late := range a.expire(time.Now()) {
		a.answer(late, nil)
	}
	select {
	case a.room <- struct{}{}:
	default:
		turn := time.NewTimer(turnTimeout)
		defer turn.Stop()
		select {
		case a.room <- struct{}{}:
		case <-turn.C:
			return pending{}, errUnacked
		}
	}
	answer := make(chan *nats.Msg, 1)
	return pending{a, a.put(answer), answer}, nil
}

// giveUp forgets a publish whose answer nobody waits for any more.
func (a *acks) giveUp(p pending) {
	if answer, ok := a.take(p.n); ok {
		a.answer(answer, nil)
	}
}

// drain returns when no answer is outstanding, or none will come, or ctx is done.
// Nothing can be published after it.
func (a *acks) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ackTimeout)
	defer cancel()
	for range mostUnacked {
		select {
		case a.room <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// pending is a publish on its way to the stream.
type pending struct {
	acks   *acks
	n      uint64
	answer chan *nats.Msg
}

var errNoAck = errors.New("no ack came")

// wait returns when the stream has stored the message, and at which sequence. It gives
// up when ctx is done, and where that has no deadline after ackTimeout.
func (p pending) wait(ctx context.Context) (sequence uint64, err error) {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, ackTimeout)
		defer cancel()
	}
	select {
	case msg := <-p.answer:
		return readAck(msg)
	case <-ctx.Done():
		p.acks.giveUp(p)
		return 0, ctx.Err()
	}
}

// readAck tells what the stream has answered: at which sequence it has stored the
// message.
func readAck(msg *nats.Msg) (sequence uint64, err error) {
	switch {
	case msg == nil:
		return 0, errNoAck
	case len(msg.Data) == 0 && msg.Header.Get("Status") == noResponders:
		return 0, jetstream.ErrNoStreamResponse
	}
	return decodeAck(msg.Data)
}

// noResponders is the status by which the server says that nobody listens.
const noResponders = "503"

// decodeAck reads the answer of a stream: {"stream":…,"seq":…} or {"error":…}, a
// *jetstream.APIError.
func decodeAck(body []byte) (sequence uint64, err error) {
	var (
		stored  bool
		refused *jetstream.APIError
	)
	d := jx.GetDecoder()
	defer jx.PutDecoder(d)
	d.ResetBytes(body)
	err = d.ObjBytes(func(d *jx.Decoder, key []byte) (err error) {
		switch string(key) {
		case "stream":
			stream, err := d.StrBytes()
			stored = len(stream) > 0
			return err
		case "seq":
			sequence, err = d.UInt64()
			return err
		case "error":
			raw, err := d.Raw()
			if err != nil {
				return err
			}
			return json.Unmarshal(raw, &refused)
		}
		return d.Skip()
	})
	switch {
	case err != nil:
		return 0, fmt.Errorf("%w: %w", jetstream.ErrInvalidJSAck, err)
	case refused != nil:
		return 0, refused
	case !stored:
		return 0, fmt.Errorf("%w: stream: is missing", jetstream.ErrInvalidJSAck)
	}
	return sequence, nil
}
