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
	// A catch-up that could not begin is tried again soon, a few times; then, and after
	// one that ended early, seldom.
	tryAfter   = 20 * time.Millisecond
	trySeldom  = 10 * time.Second
	tryOften   = 5 // times
	tryTimeout = time.Second
)

// A chance is when a source tries to catch up.
type chance struct {
	tried time.Time
	tries int
}

// due reports whether it is time to try.
func (c *chance) due() bool {
	if c.tries < tryOften {
		return time.Since(c.tried) >= tryAfter
	}
	return time.Since(c.tried) >= trySeldom
}

// consider takes part in a catch-up, or begins one, after what was fetched, and what
// has come ahead, where it is worth it.
func (s *Source) consider(ctx context.Context, last *jetstream.MsgMetadata, limit int) {
	c := &s.chance
	switch {
	case !backlog(last, limit):
		if c.due() {
			c.tries = 0 // the next backlog is another matter
		}
		return
	case !c.due():
		return
	}
	c.tried = time.Now()
	c.tries++
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if last = s.readAhead(ctx, last); !backlog(last, limit) {
		return
	}
	var err error
	if s.catchUp, err = s.b.join(ctx, s.consumer, last.Sequence.Stream, limit); err != nil {
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

// endCatchUp goes back to acknowledging.
func (s *Source) endCatchUp() {
	s.chance = chance{}
	if s.catchUp.early != nil {
		s.chance = chance{tried: time.Now(), tries: tryOften}
	}
	s.catchUp = nil
}
