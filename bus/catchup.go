package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A catchUp is how a saver that is alone takes a backlog: it reads without acks,
// and moves the scope's consumer beyond what it has saved, once for very many
// events.
//
// Moving a consumer says that everything before is saved. That is so, whoever else
// may be at work: up to the beginning of the catch-up the consumer has settled all
// (settle waits until it has), and everything from there on this saver has read,
// without a gap, and saved. What others hold beyond comes a second time, and so
// does what a saver had not settled when it was killed: versions make it harmless.
type catchUp struct {
	b        *Bus
	of       jetstream.Consumer // the scope's
	created  time.Time          // when it was created
	connects uint64             // how often the connection had been made again

	reader  jetstream.Consumer
	reading *reading
	next    uint64 // consumer sequence that the next message must have
	begun   uint64 // the first sequence in the stream, less one

	mu    sync.Mutex
	parts []*part // handed out, in the order of the stream; the first is not settled
	saved uint64  // up to here all is saved
	ended bool    // nothing more is handed out

	settled uint64        // the consumer is here
	changed chan struct{} // has a value when a part is over, or nothing more comes
	done    chan struct{} // closed when nothing is left to be settled, or it makes no sense any more
	early   error         // why that is so, for those who have seen done
}

// readerLife is for how long the server keeps a reader whose saver is gone.
const readerLife = 10 * time.Second

// errCaughtUp means that a catch-up is over.
var errCaughtUp = errors.New("caught up")

// catchUp begins to read after a sequence of the stream, up to which everything is
// settled or in hand. The consumer is as info says.
func (b *Bus) catchUp(ctx context.Context, of jetstream.Consumer, info *jetstream.ConsumerInfo, after uint64, limit int) (*catchUp, error) {
	c := &catchUp{
		b: b, of: of, created: info.Created, connects: b.nc.Stats().Reconnects,
		next: 1, begun: after, saved: after, settled: after,
		changed: make(chan struct{}, 1), done: make(chan struct{}),
	}
	var err error
	c.reader, err = b.js.CreateConsumer(ctx, info.Stream, jetstream.ConsumerConfig{
		FilterSubject: info.Config.FilterSubject, FilterSubjects: info.Config.FilterSubjects,
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: after + 1,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: readerLife,
	})
	if err == nil {
		c.reading, err = read(c.reader, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("catch up: %w", err)
	}
	b.catchUps.Go(c.keepSettling)
	return c, nil
}

// fetch returns what has come, as Source.Fetch does. After the last of the
// backlog, or where the catch-up makes no sense any more, it waits until what was
// handed out is settled, and returns errCaughtUp.
func (c *catchUp) fetch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	if !c.ended {
		if msgs := c.receive(ctx, limit); len(msgs) > 0 {
			return msgs, nil
		}
		c.end()
	}
	if ctx.Err() != nil {
		return nil, nil
	}
	select {
	case <-c.done:
		return nil, errCaughtUp
	case <-ctx.Done():
		return nil, nil
	}
}

// receive returns nothing where nothing more is to be expected.
func (c *catchUp) receive(ctx context.Context, limit int) []jetstream.Msg {
	silent := time.NewTimer(time.Second)
	defer silent.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-c.done:
		return nil
	default:
	}
	select {
	case msg := <-c.reading.msgs:
		return c.handOut(c.reading.more(msg, limit))
	case <-c.reading.errs:
	case <-c.reading.ended:
	case <-c.done:
	case <-silent.C:
	case <-ctx.Done():
	}
	return nil
}

// handOut returns the messages, unless some before or between them were lost on
// the way.
func (c *catchUp) handOut(msgs []jetstream.Msg) []jetstream.Msg {
	first, last, err := ends(msgs)
	if err != nil || first.Sequence.Consumer != c.next || !inARow(first, last, len(msgs)) {
		return nil
	}
	c.next = last.Sequence.Consumer + 1
	p := &part{last: last.Sequence.Stream, since: first.Timestamp, over: c.look}
	out := p.handOut(msgs)
	c.mu.Lock()
	c.parts = append(c.parts, p)
	c.mu.Unlock()
	if last.NumPending == 0 {
		c.end()
	}
	return out
}

// ends returns what the server says of the first and the last of some messages.
func ends(msgs []jetstream.Msg) (first, last *jetstream.MsgMetadata, err error) {
	if first, err = msgs[0].Metadata(); err != nil {
		return nil, nil, err
	}
	last, err = msgs[len(msgs)-1].Metadata()
	return first, last, err
}

// inARow reports whether the consumer handed out nothing else between the first
// and the last of n messages.
func inARow(first, last *jetstream.MsgMetadata, n int) bool {
	return last.Sequence.Consumer-first.Sequence.Consumer == uint64(n-1)
}

// end ends the reading. What was handed out is still saved.
func (c *catchUp) end() {
	c.reading.stop()
	c.mu.Lock()
	c.ended = true
	c.mu.Unlock()
	c.look()
}

// look has the parts looked at.
func (c *catchUp) look() {
	select {
	case c.changed <- struct{}{}:
	default: // they will be
	}
}
