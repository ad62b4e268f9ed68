package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// Backlog is how far the savers of one scope are behind.
type Backlog struct {
	Pending  uint64 // events not handed out yet
	InFlight int    // events handed out and not settled
	// SavedUpTo is the time up to which everything that the stream stored is
	// settled: the age of the oldest event that is not, or the time of asking.
	SavedUpTo time.Time
}

// Unsaved is how many events are not settled.
func (b Backlog) Unsaved() uint64 { return b.Pending + uint64(b.InFlight) }

// Backlog asks how far the savers of a scope are behind.
func (b *Bus) Backlog(ctx context.Context, scope events.Scope) (out Backlog, err error) {
	out.SavedUpTo = time.Now()
	stream, err := b.stream(ctx, StreamChanges)
	if err != nil {
		return out, fmt.Errorf("backlog of %s: %w", scope, err)
	}
	oldest, consumer, err := b.unsettled(ctx, stream, ConsumerName(scope))
	if err != nil {
		return out, fmt.Errorf("backlog of %s: %w", scope, err)
	}
	out.Pending, out.InFlight = consumer.NumPending, consumer.NumAckPending
	if oldest != nil {
		out.SavedUpTo = oldest.Time
		if out.Unsaved() == 0 {
			out.Pending = 1 // the consumer's count is behind
		}
	}
	return out, nil
}

const (
	// inHand is for how long savers have an event in hand that they have no backlog of.
	inHand = 10 * time.Second
	// fewInHand may be those of some characters that do not get through.
	fewInHand = 1000
)

// WaitsSince is the time from which on events of a scope may wait for a saver: that of
// the oldest that is not settled. But where all have been handed out, apart from what was
// stored just now, there is no backlog, and what is not settled does not get through, as
// of a locked row: it says nothing of what lies behind it. Where many are in hand and none
// gets through, the database takes nothing, and all of them wait.
func (b *Bus) WaitsSince(ctx context.Context, scope events.Scope) (time.Time, error) {
	asked := time.Now()
	since, err := b.waitsSince(ctx, scope, asked)
	return since, named("what waits of "+string(scope), err)
}

func (b *Bus) waitsSince(ctx context.Context, scope events.Scope, asked time.Time) (time.Time, error) {
	stream, err := b.stream(ctx, StreamChanges)
	if err != nil {
		return asked, err
	}
	oldest, consumer, err := b.unsettled(ctx, stream, ConsumerName(scope))
	if err != nil || oldest == nil {
		return asked, err
	}
	if saved := consumer.AckFloor.Last; consumer.NumAckPending > fewInHand && (saved == nil || asked.Sub(*saved) > inHand) {
		return oldest.Time, nil
	}
	handedOut := max(consumer.Delivered.Stream, consumer.AckFloor.Stream)
	next, err := b.firstMatching(ctx, position{sequence: handedOut + 1}, consumer.Config.FilterSubject)
	switch {
	case err != nil || next == nil:
		return asked, err
	case asked.Sub(next.Time) < inHand:
		return next.Time, nil
	}
	return oldest.Time, nil
}
