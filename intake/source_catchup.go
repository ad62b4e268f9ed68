package intake

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// backlogFrom is how many times what is fetched at a time has to wait, to be
	// worth a catch-up.
	backlogFrom = 4
	// A catch-up that could not begin, or ended early, is tried again soon, and the more
	// seldom the more often it could not begin: a saver that may not takes tryTimeout to
	// find out, each time. Where nothing could be settled it is tried seldom.
	trySoon    = time.Second
	trySeldom  = 10 * time.Second
	tryTimeout = 3 * time.Second
)

// A retrySchedule says when a source may try to catch up again.
type retrySchedule struct {
	tried  time.Time
	pause  time.Duration // until the next time
	failed int           // so often in a row it could not begin
}

// due reports whether it is time to try.
func (r *retrySchedule) due() bool { return time.Since(r.tried) >= r.pause }

// fail notes that a catch-up could not begin.
func (r *retrySchedule) fail() {
	r.tried, r.pause = time.Now(), min(trySoon<<r.failed, trySeldom)
	r.failed = min(r.failed+1, 4)
}

// consider takes part in a catch-up, or begins one, after what was fetched, and what
// has come ahead, where it is worth it.
func (s *Source) consider(ctx context.Context, last *jetstream.MsgMetadata, limit int) {
	if !backlog(last, limit) || !s.retry.due() {
		return
	}
	if s.unacked.back.Swap(false) {
		s.retry.fail() // the consumer waits for it, and could not be moved beyond
		return
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if last = s.drainAhead(ctx, last); !backlog(last, limit) {
		return
	}
	var err error
	if s.catchUp, err = s.in.join(ctx, s.consumer, s.holds(last), limit); err != nil {
		s.retry.fail()
		s.in.log.Warn("events are acknowledged one by one", "scope", s.scope, "err", s.in.bus.SuspectIfGone(err))
		return
	}
	s.prefetched = slices.DeleteFunc(s.prefetched, func(msg jetstream.Msg) bool {
		meta, err := msg.Metadata()
		comes := err == nil && meta.Sequence.Stream > s.catchUp.begun
		if comes {
			_ = msg.Nak() // the reader brings it, to somebody
		}
		return comes
	})
}

// holds is what the source has from its consumer, up to the last message in the stream.
func (s *Source) holds(last *jetstream.MsgMetadata) holding {
	return holding{last: last.Sequence.Stream, pending: int(s.unacked.left.Load()) + len(s.prefetched), unacked: &s.unacked}
}

// backlog reports whether enough waited when the last message was handed out.
func backlog(last *jetstream.MsgMetadata, limit int) bool {
	return last.NumPending >= uint64(backlogFrom*limit)
}

// drainAhead ends the reading and keeps what it has brought. It returns what the
// server says of that message, of these and the last one, that is the last in the
// stream.
func (s *Source) drainAhead(ctx context.Context, last *jetstream.MsgMetadata) *jetstream.MsgMetadata {
	newest := last.Sequence.Consumer
	s.reading.drain(func(msg jetstream.Msg) {
		s.prefetched = append(s.prefetched, msg)
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
	switch early := s.catchUp.early; {
	case early == nil:
		s.retry = retrySchedule{}
	case errors.Is(early, errNotMoved):
		s.retry = retrySchedule{tried: time.Now(), pause: trySeldom}
	case errors.Is(early, errGivenBack), errors.Is(early, errNotSettled):
		s.retry.fail() // it may be so each time
	default:
		s.retry = retrySchedule{tried: time.Now(), pause: trySoon}
	}
	s.catchUp = nil
}
