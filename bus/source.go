package bus

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// Source hands out the events of one scope that nobody has saved yet. It is for
// one goroutine.
type Source struct {
	b        *Bus
	consumer jetstream.Consumer
	scope    events.Scope
	reading  *reading // nil before the first Fetch, and after one that was given up
}

// Source opens the scope's durable consumer, which all savers share.
func (b *Bus) Source(ctx context.Context, scope events.Scope) (*Source, error) {
	consumer, err := b.js.Consumer(ctx, streamOf(scope), consumerName(scope))
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", consumerName(scope), unavailable(b.noted(err)))
	}
	return &Source{b: b, consumer: consumer, scope: scope}, nil
}

func streamOf(scope events.Scope) string {
	if scope == events.ScopeCleanup {
		return StreamClock
	}
	return StreamChanges
}

// Fetch returns what has come, at most limit messages. When nothing has, it blocks
// until something does, or ctx is done; it never waits for more than there is.
// What it returns is the caller's to acknowledge.
//
// The server hands out up to limit messages ahead, as they come: a saver asks
// for the next ones while it saves the last, and a single event costs no request
// of its own. A Fetch that ends with ctx gives back what nobody has fetched.
func (s *Source) Fetch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	if s.reading == nil {
		if ctx.Err() != nil {
			return nil, nil
		}
		if !s.b.nc.IsConnected() {
			return nil, s.wrap(errNotConnected)
		}
		var err error
		if s.reading, err = read(s.consumer, limit); err != nil {
			return nil, s.wrap(err)
		}
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
	if !s.b.nc.IsConnected() {
		return nil, s.wrap(errNotConnected)
	}
	select {
	case msg := <-r.msgs:
		return r.more(msg, limit), nil
	case err := <-r.errs:
		return nil, s.wrap(err)
	case <-r.ended:
		s.reading = nil
		return nil, s.wrap(errEnded)
	case <-ctx.Done():
		s.giveUp()
		return nil, nil
	}
}

func (s *Source) giveUp() {
	s.reading.giveUp()
	s.reading = nil
}

func (s *Source) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("fetch %s events: %w", s.scope, unavailable(s.b.noted(err)))
}
