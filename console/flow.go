package console

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// A sample is what JetStream's counters say at one moment.
type sample struct {
	at     time.Time
	stored uint64 // events in the stream of changes, since it was made
	scopes map[events.Scope]consumer
	clock  consumer // the sweeper's
}

// consumer is what JetStream says of one.
type consumer struct {
	Error *struct {
		Description string `json:"description"`
	} `json:"error"`
	Pending   uint64 `json:"num_pending"`
	InHand    uint64 `json:"num_ack_pending"`
	Requests  int    `json:"num_waiting"`
	Delivered counts `json:"delivered"`
	AckFloor  counts `json:"ack_floor"`

	// CatchesUp tells that savers read a backlog by another consumer, which has Requests,
	// too.
	CatchesUp bool `json:"-"`
}

type counts struct {
	Consumer uint64     `json:"consumer_seq"`
	Last     *time.Time `json:"last_active"`
}

func (c consumer) unsaved() uint64 { return c.Pending + c.InHand }

// Rate is events a second; negative where it is not known.
type Rate float64

const unknownRate Rate = -1

// rates are those of what was published and what was saved.
type rates struct{ Published, Saved Rate }

const (
	// pause is the time between two samples, where there is none of before.
	pause = time.Second
	// oldSample says nothing of now.
	oldSample = time.Minute
)

// samples returns two samples: that of the last look, or one of a moment ago, and one of
// now. Nothing is counted while nobody looks.
func (c *Console) samples(ctx context.Context) (before, now *sample, err error) {
	c.mu.Lock()
	before = c.last
	c.mu.Unlock()
	if before == nil || time.Since(before.at) < pause || time.Since(before.at) > oldSample {
		if before, err = c.sample(ctx); err != nil {
			return nil, nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	if now, err = c.sample(ctx); err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	c.last = now
	c.mu.Unlock()
	return before, now, nil
}

func (c *Console) sample(ctx context.Context) (*sample, error) {
	s := &sample{at: time.Now(), scopes: make(map[events.Scope]consumer)}
	var stream struct {
		State struct {
			Last uint64 `json:"last_seq"`
		} `json:"state"`
	}
	if err := c.api(ctx, "STREAM.INFO."+bus.StreamChanges, &stream); err != nil {
		return nil, err
	}
	s.stored = stream.State.Last
	var all struct {
		Consumers []string `json:"consumers"`
	}
	if err := c.api(ctx, "CONSUMER.NAMES."+bus.StreamChanges, &all); err != nil {
		return nil, err
	}
	for _, scope := range events.Scopes() {
		name := bus.ConsumerName(scope)
		found, err := c.consumer(ctx, bus.StreamChanges, name)
		if err != nil {
			return nil, err
		}
		for _, reader := range all.Consumers {
			if strings.HasPrefix(reader, bus.ReaderPrefix(name)) {
				more, err := c.consumer(ctx, bus.StreamChanges, reader)
				if err != nil {
					return nil, err
				}
				found.CatchesUp = found.CatchesUp || more.Error == nil
				found.Requests += more.Requests
			}
		}
		s.scopes[scope] = found
	}
	var err error
	s.clock, err = c.consumer(ctx, bus.StreamClock, bus.ConsumerName(events.ScopeCleanup))
	return s, err
}

// consumer asks for one; a consumer that is not there has an Error.
func (c *Console) consumer(ctx context.Context, stream, name string) (found consumer, err error) {
	err = c.api(ctx, "CONSUMER.INFO."+stream+"."+name, &found)
	return found, err
}

func (c *Console) api(ctx context.Context, subject string, answer any) error {
	body, err := c.Ask(ctx, "$JS.API."+subject)
	if err == nil {
		err = json.Unmarshal(body, answer)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	return nil
}

// of returns the rates of a scope between two samples. Savers that catch up set their
// consumer's counters back. What is handed out again is counted again, but no scope has
// more than all together, which are counted otherwise.
func (s *sample) of(scope events.Scope, since *sample) rates {
	before, now := since.scopes[scope], s.scopes[scope]
	if before.CatchesUp || now.CatchesUp || now.Delivered.Consumer < before.Delivered.Consumer {
		return rates{unknownRate, unknownRate}
	}
	all := s.all(since)
	return rates{
		Published: min(all.Published, s.rate(since, now.Pending+now.Delivered.Consumer, before.Pending+before.Delivered.Consumer)),
		Saved:     min(all.Saved, s.rate(since, now.Delivered.Consumer-now.InHand, before.Delivered.Consumer-before.InHand)),
	}
}

// all returns the rates of all scopes together.
func (s *sample) all(since *sample) rates {
	var before, now uint64
	for scope := range s.scopes {
		before, now = before+since.scopes[scope].unsaved(), now+s.scopes[scope].unsaved()
	}
	return rates{
		Published: s.rate(since, s.stored, since.stored),
		Saved:     s.rate(since, s.stored+before, since.stored+now),
	}
}

// rate is how fast a counter has risen; 0 where it was set back.
func (s *sample) rate(since *sample, now, before uint64) Rate {
	if now <= before {
		return 0
	}
	return Rate(float64(now-before) / s.at.Sub(since.at).Seconds())
}
