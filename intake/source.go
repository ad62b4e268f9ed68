package intake

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// Source hands out the events of one scope that nobody has saved yet. It is for
// one goroutine.
type Source struct {
	in         *Intake
	consumer   jetstream.Consumer
	scope      events.Scope
	reading    *reading        // nil before the first Fetch, and after one that was given up
	behind     bool            // more was waiting when the last message was handed out
	last       uint64          // the consumer sequence of that message
	doubt      bool            // since then, the server seemed to know of no request
	prefetched []jetstream.Msg // what was read ahead of a catch-up, to be handed out before
	unacked    batch           // what is handed out and has to be acknowledged
	catchUp    *catchUp        // nil while events are acknowledged one by one
	retry      retrySchedule   // of a catch-up

	// AckEach has each event acknowledged, however many are waiting.
	AckEach bool
}

// Source opens the scope's durable consumer, which all savers share.
func (in *Intake) Source(ctx context.Context, scope events.Scope) (*Source, error) {
	consumer, err := in.js.Consumer(ctx, bus.StreamOf(scope), bus.ConsumerName(scope))
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", bus.ConsumerName(scope), bus.Unavailable(in.bus.SuspectIfGone(err)))
	}
	return in.source(consumer, scope), nil
}

func (in *Intake) source(consumer jetstream.Consumer, scope events.Scope) *Source {
	return &Source{in: in, consumer: consumer, scope: scope, unacked: batch{acked: true, nc: in.nc, saved: in.bus.TellSaved}}
}

// Fetch returns what has come, at most limit messages, and fewer where they are large
// (readyBytes). When nothing has, it blocks until something does, or ctx is done; it
// never waits for more than there is. What it returns is the caller's to acknowledge. It
// returns nothing, once, where what was waiting behind the last message does not come:
// others have taken it, or it takes its time.
//
// The server hands out up to limit messages ahead, as they come: a saver asks
// for the next ones while it saves the last, and a single event costs no request
// of its own. A Fetch that ends with ctx gives back what nobody has fetched.
//
// Where many wait, they are not acknowledged one by one: see catchUp. The caller sees
// no difference.
func (s *Source) Fetch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	if msgs := s.handOutAhead(ctx, limit); len(msgs) > 0 {
		return msgs, nil
	}
	if s.catchUp != nil {
		msgs, err := s.catchUp.fetch(ctx, limit)
		if !errors.Is(err, errCaughtUp) {
			return msgs, err
		}
		s.endCatchUp()
	}
	msgs, err := s.fetch(ctx, limit)
	if len(msgs) == 0 {
		return nil, err
	}
	out := s.unacked.handOut(msgs)
	_, last, err := ends(msgs)
	if err != nil {
		return out, nil // the caller finds out
	}
	s.behind, s.last, s.doubt = last.NumPending > 0, last.Sequence.Consumer, false
	if !s.AckEach {
		s.consider(ctx, last, limit)
	}
	return out, nil
}

// handOutAhead hands out what was read ahead of a catch-up, or gives it back where
// ctx is done.
func (s *Source) handOutAhead(ctx context.Context, limit int) []jetstream.Msg {
	if ctx.Err() != nil {
		for _, msg := range s.prefetched {
			_ = msg.Nak() // if it is lost, the ack wait does the same
		}
		s.prefetched = nil
	}
	n := min(limit, len(s.prefetched))
	if n == 0 {
		return nil
	}
	out := s.unacked.handOut(s.prefetched[:n])
	clear(s.prefetched[:n]) // only what was handed out holds them
	s.prefetched = s.prefetched[n:]
	return out
}

// silence is how long nothing comes of a backlog before it is asked why.
const silence = 100 * time.Millisecond

func (s *Source) fetch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	if s.reading == nil {
		if ctx.Err() != nil {
			return nil, nil
		}
		if !s.in.nc.IsConnected() {
			return nil, s.wrap(bus.ErrNotConnected)
		}
		var err error
		if s.reading, err = s.in.read(s.consumer, limit); err != nil {
			return nil, s.wrap(err)
		}
		s.doubt = false
	}
	r := s.reading
	if ctx.Err() != nil {
		s.giveUp()
		return nil, nil
	}
	select {
	case msg := <-r.msgs:
		return r.more(msg, limit), nil
	default:
	}
	if !s.in.nc.IsConnected() {
		return nil, s.wrap(bus.ErrNotConnected)
	}
	var silent <-chan time.Time
	if s.behind {
		silent = time.After(silence)
	}
	select {
	case msg := <-r.msgs:
		return r.more(msg, limit), nil
	case err := <-r.errs:
		return nil, s.wrap(err)
	case <-r.ended:
		s.reading = nil
		return nil, s.wrap(errEnded)
	case <-silent:
		s.askAgain(ctx)
		return nil, nil
	case <-ctx.Done():
		s.giveUp()
		return nil, nil
	}
}

// askAgain gives up a reading that the server knows nothing of any more: events
// are waiting, and nobody asks for them. The client (nats.go 1.55) counts on
// requests that have been used up about once in two million events, and finds out
// after two seconds.
func (s *Source) askAgain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return // the reading will say why
	}
	s.behind = info.NumPending > 0
	giveUp, doubt := usedUp(info, s.last, s.doubt)
	s.doubt = doubt
	if giveUp && len(s.reading.msgs) == 0 {
		s.giveUp()
	}
}

// usedUp reports whether the server knows of no request any more, when a reading is
// silent since the message with this consumer sequence. What it has handed out
// meanwhile may be on its way here, or have gone to others. The answer came after
// what was on its way by then, so if nothing has come by the next answer, nothing
// will: it is in doubt for so long.
func usedUp(info *jetstream.ConsumerInfo, last uint64, inDoubt bool) (giveUp, doubt bool) {
	if info.NumPending == 0 || info.NumWaiting > 0 || info.Paused {
		return false, false
	}
	return inDoubt || info.Delivered.Consumer == last, true
}

func (s *Source) giveUp() {
	// If it is lost, the ack wait does the same.
	s.reading.drain(func(msg jetstream.Msg) { _ = msg.Nak() }, never)
	s.reading = nil
}

// Left returns how many events of the source are not settled, and the sequence
// up to which all are.
func (s *Source) Left(ctx context.Context) (left, settled uint64, err error) {
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return 0, 0, s.wrap(err)
	}
	return info.NumPending + uint64(info.NumAckPending), info.AckFloor.Stream, nil
}

func (s *Source) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("fetch %s events: %w", s.scope, bus.Unavailable(s.in.bus.SuspectIfGone(err)))
}
