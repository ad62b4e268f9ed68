package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// backlogFrom is how many times what is fetched at a time has to wait, to be
	// worth a catch-up.
	backlogFrom = 4
	// The server is asked whether nobody else is there: often in the beginning,
	// since acks that are under way look like somebody, then seldom, as after a
	// catch-up that ended early.
	askAfter   = 20 * time.Millisecond
	askSeldom  = 10 * time.Second
	askOften   = 50 // times
	askTimeout = time.Second
)

// A chance is what a source has seen that speaks for a catch-up.
type chance struct {
	row   int // so many came before it in a row, without one for somebody else
	asked time.Time
	tries int
	// alone is what the server said when nobody else held any event, if all that it
	// had handed out by then comes here. nil otherwise.
	alone *jetstream.ConsumerInfo
}

// due reports whether it is time to ask.
func (c *chance) due() bool {
	if c.tries < askOften {
		return time.Since(c.asked) >= askAfter
	}
	return time.Since(c.asked) >= askSeldom
}

// sees takes note of n messages that were fetched after the consumer's message with
// the sequence before.
func (c *chance) sees(before uint64, first, last *jetstream.MsgMetadata, n int) {
	if first.Sequence.Consumer != before+1 || !inARow(first, last, n) {
		c.row, c.alone = 0, nil
	}
	c.row += n
}

// consider begins a catch-up after what was fetched, and what has come ahead, where
// it is worth it and nobody else is there.
func (s *Source) consider(ctx context.Context, last *jetstream.MsgMetadata, limit int) {
	c := &s.chance
	if !backlog(last, limit) {
		if c.alone = nil; c.due() {
			c.tries = 0 // the next backlog is another matter
		}
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var err error
	if c.alone == nil && c.row >= limit && c.due() {
		c.asked = time.Now()
		c.tries++
		err = s.ask(ctx)
	}
	if c.alone != nil && s.last >= c.alone.Delivered.Consumer {
		if last = s.readAhead(ctx, last); backlog(last, limit) {
			s.catchUp, err = s.b.catchUp(ctx, s.consumer, c.alone, last.Sequence.Stream, limit)
		}
		c.alone = nil
	}
	if err != nil {
		s.b.log.Warn("events are acknowledged one by one", "scope", s.scope, "err", s.b.noted(err))
	}
}

// backlog reports whether enough waited when the last message was handed out.
func backlog(last *jetstream.MsgMetadata, limit int) bool {
	return last.NumPending >= uint64(backlogFrom*limit)
}

// readAhead ends the reading and keeps what it has brought. It returns what the
// server says of that message, of these and the last one, that is the last in the
// stream.
func (s *Source) readAhead(ctx context.Context, last *jetstream.MsgMetadata) *jetstream.MsgMetadata {
	newest := last.Sequence.Consumer
	s.reading.drain(func(msg jetstream.Msg) {
		s.ahead = append(s.ahead, msg)
		if meta, err := msg.Metadata(); err == nil {
			newest = max(newest, meta.Sequence.Consumer)
			if meta.Sequence.Stream > last.Sequence.Stream {
				last = meta
			}
		}
	}, func() bool {
		info, err := s.consumer.Info(ctx)
		return err == nil && info.Delivered.Consumer == newest
	})
	s.reading = nil
	return last
}

// ask asks whether all that the consumer waits for is in this source's hands, or on
// its way there, as far as it can be told now. Acks that are on their way back make
// it look as if it were not.
func (s *Source) ask(ctx context.Context) error {
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return err
	}
	coming := int64(info.Delivered.Consumer - s.last)
	if int64(info.NumAckPending) <= s.hand.left.Load()+coming {
		s.chance.alone = info
	}
	return nil
}

// endCatchUp goes back to acknowledging.
func (s *Source) endCatchUp() {
	s.chance = chance{}
	if s.catchUp.early != nil {
		s.chance.asked, s.chance.tries = time.Now(), askOften
	}
	s.catchUp = nil
}
