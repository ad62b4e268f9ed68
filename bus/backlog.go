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
	oldest, consumer, err := b.unsettled(ctx, stream, consumerName(scope))
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

// SavedUpTo is the time up to which all that the stream stored of a scope is
// settled.
func (b *Bus) SavedUpTo(ctx context.Context, scope events.Scope) (time.Time, error) {
	backlog, err := b.Backlog(ctx, scope)
	return backlog.SavedUpTo, err
}
