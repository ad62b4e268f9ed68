package rig

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// Backlog is how far the savers are with some scopes.
type Backlog struct {
	Waiting  int // not delivered yet
	InFlight int // delivered and not settled
	Asking   int // requests for events that wait at the server
}

// Backlog asks the server. Its counts follow what is stored by some milliseconds.
func (r *Rig) Backlog(ctx context.Context, scopes ...events.Scope) (b Backlog, err error) {
	infos, err := r.consumers(ctx, scopes...)
	for _, info := range infos {
		b.Waiting += int(info.NumPending)
		b.InFlight += info.NumAckPending
		b.Asking += info.NumWaiting
	}
	return b, err
}

// askTimeout bounds one question to NATS.
const askTimeout = 10 * time.Second

// settlePoll is short against a drain, and long against what a question costs both
// sides: the baselines are not asked while they run. Every 3 ms it was 8 % of two
// cores.
const settlePoll = 20 * time.Millisecond

// AwaitSettled returns when the savers have settled all events of these scopes that
// the stream has by now.
func (r *Rig) AwaitSettled(ctx context.Context, scopes ...events.Scope) error {
	last, err := r.lastSequences(ctx, scopes...)
	if err != nil {
		return err
	}
	for {
		infos, err := r.consumers(ctx, scopes...)
		settled := make(map[string]uint64)
		for _, info := range infos {
			settled[info.Name] = info.AckFloor.Stream
		}
		if err == nil && reached(settled, last) {
			return nil
		}
		for _, p := range r.programs {
			if err := p.Ended(); err != nil {
				return err
			}
		}
		if late := Rest(ctx, settlePoll); late != nil {
			b, err := r.Backlog(context.WithoutCancel(ctx), scopes...)
			return fmt.Errorf("wait until all events are settled: %w; the backlog is %+v (%v)", late, b, err)
		}
	}
}

// reached reports whether every consumer of last has settled as much.
func reached(settled, last map[string]uint64) bool {
	for name, sequence := range last {
		if settled[name] < sequence {
			return false
		}
	}
	return true
}

// lastSequences returns, for the consumer of each scope, the sequence of the scope's
// last event.
func (r *Rig) lastSequences(ctx context.Context, scopes ...events.Scope) (map[string]uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	stream, err := r.JS.Stream(ctx, bus.StreamChanges)
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", bus.StreamChanges, err)
	}
	last := make(map[string]uint64)
	for _, scope := range allUnless(scopes) {
		msg, err := stream.GetLastMsgForSubject(ctx, events.ScopeSubject(scope)+".*")
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("last event of %s: %w", scope, err)
		}
		last[bus.ConsumerName(scope)] = msg.Sequence
	}
	return last, nil
}

// allUnless returns the scopes that are named, or all where none is.
func allUnless(scopes []events.Scope) []events.Scope {
	if len(scopes) == 0 {
		return events.Scopes()
	}
	return scopes
}

// consumers are those of the savers of some scopes, or of all.
func (r *Rig) consumers(ctx context.Context, scopes ...events.Scope) (out []*jetstream.ConsumerInfo, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for _, scope := range allUnless(scopes) {
		consumer, err := r.JS.Consumer(ctx, bus.StreamChanges, bus.ConsumerName(scope))
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("consumer %s: %w", bus.ConsumerName(scope), err)
		}
		out = append(out, consumer.CachedInfo())
	}
	return out, nil
}

// Pause keeps the server from handing out events of these scopes until Resume,
// so that a saver is up and idle while a backlog grows. A saver that is started
// later undoes it: it brings the consumers up to date.
func (r *Rig) Pause(ctx context.Context, scopes ...events.Scope) error {
	return r.pauseUntil(ctx, time.Now().Add(time.Hour), scopes)
}

// resumeAhead is time enough to tell all consumers when to go on, on a machine that has
// nothing else to do.
const resumeAhead = 150 * time.Millisecond

// Resume ends a Pause and returns the moment at which it did, for all consumers
// at once, when that moment has come.
//
// It does so by a pause that ends soon: a consumer that is resumed by name looks
// at the requests that wait for events when the next one comes, or some seconds
// later; one whose pause has run out looks at once.
func (r *Rig) Resume(ctx context.Context, scopes ...events.Scope) (at time.Time, err error) {
	// The first call after much was published waits for the disk, up to a second and more.
	// How long the next takes, on a busy machine, shows the one after it.
	var took time.Duration
	for range 2 {
		begun := time.Now()
		if err := r.Pause(ctx, scopes...); err != nil {
			return at, err
		}
		took = time.Since(begun)
	}
	at = time.Now().Add(resumeAhead + 10*took)
	if err := r.pauseUntil(ctx, at, scopes); err != nil {
		return at, err
	}
	if late := time.Since(at); late > 0 {
		return at, fmt.Errorf("resume the consumers: told the last of them %v too late", late)
	}
	return at, Rest(ctx, time.Until(at))
}

func (r *Rig) pauseUntil(ctx context.Context, until time.Time, scopes []events.Scope) error {
	return r.eachConsumer(ctx, scopes, func(ctx context.Context, name string) error {
		if _, err := r.JS.PauseConsumer(ctx, bus.StreamChanges, name, until); err != nil {
			return fmt.Errorf("pause consumer %s: %w", name, err)
		}
		return nil
	})
}

func (r *Rig) eachConsumer(ctx context.Context, scopes []events.Scope, do func(context.Context, string) error) error {
	infos, err := r.consumers(ctx, scopes...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	for _, info := range infos {
		if err := do(ctx, info.Name); err != nil {
			return err
		}
	}
	return nil
}
