package intake

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A catchUp is how savers take a backlog: they read without acks, from a consumer that
// they share (the reader), and one of them, the leader, moves the scope's consumer
// beyond what all of them have saved, once for very many events.
//
// Moving a consumer says that everything before is saved. That is so, whoever else
// may be at work: up to the beginning of the catch-up the consumer has settled all
// (settle waits until it has), and of everything from there on the board knows that
// the saver which got it has saved it. What others hold beyond comes a second time,
// and so does what was not settled when a saver was killed: versions make it harmless.
type catchUp struct {
	in       *Intake
	of       jetstream.Consumer // the scope's
	connects uint64             // how often the connection had been made again
	begun    uint64             // sequence in the stream after which the reader begins

	reader     jetstream.Consumer
	last       uint64          // consumer sequence of the newest message that was handed out
	prefetched []jetstream.Msg // what the reading had brought when it ended
	drained    bool            // it has ended, and nothing more comes

	mu      sync.Mutex
	reading *reading // it changes under mu, by who fetches
	batches []*batch // handed out, and in no report yet
	ended   bool     // nothing more is handed out
	all     bool     // because this saver has got all that it should have
	back    bool     // something was given back

	lead *lead // nil for a helper
	help *help // nil for the leader

	enough  chan struct{} // closed when another saver has read the last of the backlog
	stop    func()        // closes it
	changed chan struct{} // has a value when a batch is over, or nothing more comes
	done    chan struct{} // closed when nothing is left to be done, or it makes no sense any more
	early   error         // why it makes no sense any more, for those who have seen done
}

// errCaughtUp means that a catch-up is over.
var errCaughtUp = errors.New("caught up")

func (in *Intake) newCatchUp(of jetstream.Consumer) *catchUp {
	c := &catchUp{
		in: in, of: of, connects: in.nc.Stats().Reconnects,
		enough: make(chan struct{}), changed: make(chan struct{}, 1), done: make(chan struct{}),
	}
	c.stop = sync.OnceFunc(func() { close(c.enough) })
	return c
}

// isConnected reports whether the connection is still the one of the beginning. While
// there was none, the server may have lost the end of its stream, and what was on its
// way here is lost.
func (c *catchUp) isConnected() bool { return c.in.nc.Stats().Reconnects == c.connects }

// fetch returns what has come, as Source.Fetch does. After the last of the
// backlog, or where the catch-up makes no sense any more, it returns nothing, once;
// then it waits until what was handed out is settled, and returns errCaughtUp.
func (c *catchUp) fetch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	if !c.ended {
		msgs, all := c.receive(ctx, limit)
		if len(msgs) == 0 {
			c.end(all)
		}
		return msgs, nil
	}
	select {
	case <-c.done:
		return nil, errCaughtUp
	case <-ctx.Done():
		return nil, nil
	}
}

const (
	// askEvery is how long nothing comes of a catch-up before the server is asked whether
	// there is more.
	askEvery = 300 * time.Millisecond
	// mostAsked is how many times in a row there is not, before nothing is expected.
	mostAsked = 3
)

// receive returns nothing where nothing more is to be expected; and whether that is
// because this saver has all that it should have, and not because of an error.
func (c *catchUp) receive(ctx context.Context, limit int) (msgs []jetstream.Msg, all bool) {
	silent := time.NewTicker(askEvery)
	defer silent.Stop()
	for asked := 0; ; {
		select {
		case <-ctx.Done():
			return nil, false
		case <-c.done:
			return nil, true
		case <-c.enough:
			c.drain()
		default:
		}
		if n := min(limit, len(c.prefetched)); n > 0 {
			msgs = c.handOut(c.prefetched[:n])
			clear(c.prefetched[:n]) // only what was handed out holds them
			c.prefetched = c.prefetched[n:]
			return msgs, false
		}
		if c.drained {
			return nil, true
		}
		select {
		case msg := <-c.reading.msgs:
			return c.handOut(c.reading.more(msg, limit)), false
		case <-c.reading.errs:
			return nil, false
		case <-c.reading.ended:
			return nil, false
		case <-silent.C:
			more, unasked := c.hasMore(ctx)
			if unasked && c.readAgain(limit) != nil {
				return nil, false
			}
			if asked++; more {
				asked = 0
			}
			if asked == mostAsked {
				return nil, true
			}
		case <-c.done:
		case <-c.enough:
		case <-ctx.Done():
		}
	}
}

// hasMore reports whether the reader has messages that it has handed out to nobody, and
// whether nobody asks for them: then the request of this saver is lost (see
// Source.askAgain). Where others ask, it may only have to wait for its turn; should it
// be lost, the client finds out after requestExpiry.
func (c *catchUp) hasMore(ctx context.Context) (more, unasked bool) {
	ctx, cancel := context.WithTimeout(ctx, askEvery)
	defer cancel()
	info, err := c.reader.Info(ctx)
	more = err == nil && info.NumPending > 0
	return more, more && info.NumWaiting == 0
}

// readAgain makes the reading anew.
func (c *catchUp) readAgain(limit int) error {
	c.drain()
	r, err := c.in.read(c.reader, limit)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.reading, c.drained = r, false
	c.mu.Unlock()
	select {
	case <-c.done: // and the reading of before was stopped
		r.stop()
	default:
	}
	return nil
}

// drain ends the reading, for which the client takes a tenth of a second. What this
// saver has got, or what was on its way here, is ahead then: nobody else will get it.
func (c *catchUp) drain() {
	if !c.drained {
		c.drained = true
		c.reading.drain(func(msg jetstream.Msg) { c.prefetched = append(c.prefetched, msg) }, never)
	}
}

// handOut returns the messages, unless some before or between them were lost on
// the way, as far as that can be told: others may have got them.
func (c *catchUp) handOut(msgs []jetstream.Msg) []jetstream.Msg {
	first, last, err := ends(msgs)
	if err != nil || first.Sequence.Consumer <= c.last {
		return nil
	}
	contiguous := areContiguous(first, last, len(msgs))
	if (!contiguous || first.Sequence.Consumer != c.last+1) && !c.isShared() {
		return nil
	}
	c.last = last.Sequence.Consumer
	b := &batch{last: last.Sequence.Stream, consumer: c.last, since: first.Timestamp, over: c.wake, saved: c.in.bus.TellSaved}
	if err := b.spans(msgs, first, contiguous); err != nil {
		return nil
	}
	out := b.handOut(msgs)
	c.mu.Lock()
	c.batches = append(c.batches, b)
	c.mu.Unlock()
	if last.NumPending == 0 {
		c.end(true)
	}
	return out
}

// spans notes which messages of the reader the batch has.
func (b *batch) spans(msgs []jetstream.Msg, first *jetstream.MsgMetadata, contiguous bool) error {
	if contiguous {
		return b.of.add(first.Sequence.Consumer, b.consumer)
	}
	for _, msg := range msgs {
		meta, err := msg.Metadata()
		if err == nil {
			err = b.of.add(meta.Sequence.Consumer, meta.Sequence.Consumer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ends returns what the server says of the first and the last of some messages.
func ends(msgs []jetstream.Msg) (first, last *jetstream.MsgMetadata, err error) {
	if first, err = msgs[0].Metadata(); err != nil {
		return nil, nil, err
	}
	last, err = msgs[len(msgs)-1].Metadata()
	return first, last, err
}

// areContiguous reports whether the consumer handed out nothing else between the first
// and the last of n messages.
func areContiguous(first, last *jetstream.MsgMetadata, n int) bool {
	return last.Sequence.Consumer-first.Sequence.Consumer == uint64(n-1)
}

// end ends the reading, where all has been got that should be, or too soon: then
// something may be lost that was on its way here. What was handed out is still saved.
func (c *catchUp) end(all bool) {
	c.reading.stop()
	c.mu.Lock()
	c.ended, c.all = true, all
	c.mu.Unlock()
	c.wake()
}

// wake has the batches looked at.
func (c *catchUp) wake() {
	select {
	case c.changed <- struct{}{}:
	default: // they will be
	}
}

// takeReport reports on the batches that are over, each once.
func (c *catchUp) takeReport() (*report, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := &report{ends: make(map[uint64]uint64)}
	var left []*batch
	for _, b := range c.batches {
		switch {
		case b.back.Load(): // whatever else of it is in hand, which may be for long
			r.lost, c.back = true, true
		case b.left.Load() > 0:
			left = append(left, b)
		default:
			if err := r.saved.take(&b.of); err != nil {
				return nil, err
			}
			r.ends[b.consumer] = b.last
		}
	}
	c.batches = left
	r.ended, r.over = c.ended, c.ended && len(left) == 0
	r.lost = r.lost || c.ended && !c.all
	return r, nil
}

// finish ends a catch-up, for a reason unless all is done.
func (c *catchUp) finish(early error) {
	c.early = early
	close(c.done)
	c.mu.Lock()
	r := c.reading
	c.mu.Unlock()
	r.stop()
	what := "caught up"
	if c.help != nil {
		what = "helped to catch up"
	}
	c.in.log.Info(what, "consumer", c.of.CachedInfo().Name, "early", early)
}

// deleteReader lets those who still read from it know that the catch-up is over.
// Without it the reader goes after readerLife.
func (in *Intake) deleteReader(reader jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.Background(), settleTimeout)
	defer cancel()
	info := reader.CachedInfo()
	_ = in.js.DeleteConsumer(ctx, info.Stream, info.Name)
}

// holding is what a source has from its consumer that is not acknowledged: so many
// messages, and the last of all that it ever got, in the stream.
type holding struct {
	pending int
	last    uint64
	unacked *batch // those that are handed out
}

// join takes part in the catch-up of a consumer that another saver leads, or begins
// one.
func (in *Intake) join(ctx context.Context, of jetstream.Consumer, mine holding, limit int) (*catchUp, error) {
	for {
		reader, err := in.oldestReader(ctx, of)
		if err != nil {
			return nil, fmt.Errorf("catch up: %w", err)
		}
		var c *catchUp
		if reader == nil {
			c, err = in.beginCatchUp(ctx, of, mine, limit)
		} else if c, err = in.helpWith(ctx, of, reader, limit); errors.Is(err, errLeaderGone) {
			in.deleteReader(reader)
		}
		if !errors.Is(err, errOvertaken) && !errors.Is(err, errLeaderGone) {
			return c, err
		}
	}
}
