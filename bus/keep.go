package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

const (
	// keepEvery is how often the topology is looked at without a sign that
	// something is missing: nobody notices a schedule that is gone.
	keepEvery = 30 * time.Second
	// keepPause is the wait after a look that failed, and between two looks that
	// must agree.
	keepPause = time.Second
	// keepTimeout bounds one look and its repair.
	keepTimeout = 30 * time.Second
)

// Keep creates what is missing of the topology, until ctx is done: a server may
// lose its storage, and somebody may delete a consumer. It looks when the
// connection is made again, when something was not found, and now and then.
// What is there it leaves as it is. Any number of processes may do it at once.
func (b *Bus) Keep(ctx context.Context, t Topology) {
	ticker := time.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-b.suspect:
		}
		b.restore(ctx, t)
	}
}

// restore looks, and creates what is missing, until nothing is.
func (b *Bus) restore(ctx context.Context, t Topology) {
	for ctx.Err() == nil {
		err := b.restoreOnce(ctx, t)
		if err == nil {
			return
		}
		b.log.Warn("nats topology not looked after", "retry_in", keepPause, "err", err)
		select {
		case <-time.After(keepPause):
		case <-ctx.Done():
		}
	}
}

func (b *Bus) restoreOnce(ctx context.Context, t Topology) error {
	ctx, cancel := context.WithTimeout(ctx, keepTimeout)
	defer cancel()
	if !b.nc.IsConnected() {
		return nil // the connection says when it is back
	}
	missing, err := b.missing(ctx)
	if err != nil || missing == "" {
		return err
	}
	// A server that deletes a stream no longer shows it, and tells its readers, while
	// its files are still there. One that were created now would take them over, lose
	// them, and answer nobody until the server is restarted.
	select {
	case <-time.After(keepPause):
	case <-ctx.Done():
		return ctx.Err()
	}
	if missing, err = b.missing(ctx); err != nil || missing == "" {
		return err
	}
	b.log.Warn("nats topology is created again; the stream may have lost what it held", "missing", missing)
	return b.Ensure(ctx, t)
}

// missing names the first part of the topology that is not there, or "".
func (b *Bus) missing(ctx context.Context) (string, error) {
	for _, name := range []string{StreamChanges, StreamClock, StreamDead, StreamMirror} {
		if _, err := b.js.Stream(ctx, name); err != nil {
			return notFound("stream "+name, err)
		}
	}
	for _, scope := range append(events.Scopes(), events.ScopeCleanup) {
		if _, err := b.js.Consumer(ctx, StreamOf(scope), ConsumerName(scope)); err != nil {
			return notFound("consumer "+ConsumerName(scope), err)
		}
	}
	clock, err := b.js.Stream(ctx, StreamClock)
	if err == nil {
		_, err = clock.GetLastMsgForSubject(ctx, SubjectSchedule)
	}
	if err != nil {
		return notFound("schedule "+SubjectSchedule, err)
	}
	return "", nil
}

func notFound(what string, err error) (string, error) {
	if isGone(err) || errors.Is(err, jetstream.ErrMsgNotFound) {
		return what, nil
	}
	return "", fmt.Errorf("%s: %w", what, Unavailable(err))
}

// isGone reports whether an error says that a part of the topology may be
// missing. Nobody answers where a stream or a consumer should.
func isGone(err error) bool {
	for _, gone := range []error{
		jetstream.ErrStreamNotFound, jetstream.ErrConsumerNotFound, jetstream.ErrConsumerDeleted,
		jetstream.ErrBucketNotFound, jetstream.ErrNoStreamResponse, nats.ErrNoResponders,
	} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

// SuspectIfGone has Keep look where err says that a part of the topology is gone, and
// returns err.
func (b *Bus) SuspectIfGone(err error) error {
	if err != nil && isGone(err) {
		b.suspectLoss()
	}
	return err
}

// suspectLoss has Keep look soon. A look that is due already is enough.
func (b *Bus) suspectLoss() {
	select {
	case b.suspect <- struct{}{}:
	default:
	}
}
