package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// floor is the highest sequence up to which every saver has settled all events:
// those of all scopes, of builds with other scopes too.
func (b *Bus) floor(ctx context.Context) (jetstream.Stream, uint64, error) {
	stream, err := b.stream(ctx, StreamChanges)
	if err != nil {
		return nil, 0, err
	}
	floor := stream.CachedInfo().State.LastSeq // where all is settled
	names, err := consumerNames(ctx, stream, consumerPrefix)
	if err != nil {
		return nil, 0, Unavailable(err)
	}
	seen := make(map[string]bool)
	for _, name := range names {
		oldest, _, err := b.unsettled(ctx, stream, name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return nil, 0, err
		}
		seen[name] = true
		if oldest != nil {
			floor = min(floor, oldest.Sequence-1)
		}
	}
	for _, scope := range events.Scopes() {
		if !seen[ConsumerName(scope)] { // then nobody can say what is settled
			return nil, 0, Unavailable(fmt.Errorf("consumer %s: %w", ConsumerName(scope), jetstream.ErrConsumerNotFound))
		}
	}
	return stream, floor, nil
}

// LastSequence is the newest sequence of the stream of changes: as many events as
// were ever published.
func (b *Bus) LastSequence(ctx context.Context) (uint64, error) {
	stream, err := b.stream(ctx, StreamChanges)
	if err != nil {
		return 0, fmt.Errorf("last sequence: %w", err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// Begins is when the oldest event of the stream of changes was stored.
func (b *Bus) Begins(ctx context.Context) (time.Time, error) {
	stream, err := b.stream(ctx, StreamChanges)
	if err != nil {
		return time.Time{}, fmt.Errorf("where the stream begins: %w", err)
	}
	return stream.CachedInfo().State.FirstTime, nil
}

// KeptSince is the version from which on the stream of changes has every event: it was
// created then, or has dropped what is older.
func (b *Bus) KeptSince(ctx context.Context) (events.Version, error) {
	stream, err := b.stream(ctx, StreamChanges)
	if err != nil {
		return 0, fmt.Errorf("since when the stream keeps all: %w", err)
	}
	info := stream.CachedInfo()
	oldest := info.State.FirstTime
	switch {
	case info.State.FirstSeq <= 1:
		return events.Version(info.Created.UnixMicro()), nil
	case info.State.Msgs == 0:
		oldest = info.State.LastTime // of those that are gone
	}
	// A gateway's clock may have been ahead of the server's.
	return events.Version(oldest.Add(events.MaxAhead).UnixMicro()), nil
}

// Settled returns the newest sequence of the stream of changes, and the one up to
// which every saver has settled all events.
func (b *Bus) Settled(ctx context.Context) (last, settled uint64, err error) {
	stream, settled, err := b.floor(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("what is settled: %w", err)
	}
	return stream.CachedInfo().State.LastSeq, settled, nil
}
