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
	// The server is asked whether nobody else is there after a rest: it begins with
	// askAfter and doubles each time that somebody was, or acks were under way. After a catch-up that
	// ended early it is long.
	askAfter   = 20 * time.Millisecond
	askSeldom  = 10 * time.Second
	askTimeout = time.Second
)

// A chance is what a source has seen that speaks for a catch-up.
type chance struct {
	last  uint64 // consumer sequence of the last message
	row   int    // so many came before it in a row, without one for somebody else
	asked time.Time
	rest  time.Duration // after asked
}

// sees takes note of n messages that were fetched.
func (c *chance) sees(first, last *jetstream.MsgMetadata, n int) {
	if first.Sequence.Consumer != c.last+1 || !inARow(first, last, n) {
		c.row = 0
	}
	c.row += n
	c.last = last.Sequence.Consumer
}

// consider begins a catch-up after the last message that was fetched, where it is
// worth it and nobody else is there.
func (s *Source) consider(ctx context.Context, last *jetstream.MsgMetadata, limit int) {
	c := &s.chance
	if c.row < limit || last.NumPending < uint64(backlogFrom*limit) || time.Since(c.asked) < c.rest {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c.asked = time.Now()
	info, err := s.consumer.Info(ctx)
	if err == nil && s.alone(info) {
		s.catchUp, err = s.b.catchUp(ctx, s.consumer, info, last.Sequence.Stream, limit)
	}
	if s.catchUp == nil {
		if err != nil {
			s.b.log.Warn("events are acknowledged one by one", "scope", s.scope, "err", s.b.noted(err))
		}
		c.rest = min(max(askAfter, 2*c.rest), askSeldom)
		return
	}
	s.giveUp()
}

// endCatchUp goes back to acknowledging.
func (s *Source) endCatchUp() {
	s.chance = chance{}
	if s.catchUp.early != nil {
		s.chance.asked, s.chance.rest = time.Now(), askSeldom
	}
	s.catchUp = nil
}

// alone reports whether all that the consumer waits for is in this source's hands,
// or on its way there. Acks that are on their way back make it look as if it were
// not; the other way round it cannot look.
func (s *Source) alone(info *jetstream.ConsumerInfo) bool {
	coming := int64(info.Delivered.Consumer - s.chance.last)
	return int64(info.NumAckPending) <= s.hand.left.Load()+coming
}
