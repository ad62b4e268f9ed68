package bus

import (
	"context"
	"errors"
	"fmt"

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
		return nil, 0, unavailable(err)
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
			return nil, 0, unavailable(fmt.Errorf("consumer %s: %w", ConsumerName(scope), jetstream.ErrConsumerNotFound))
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

// Settled returns the newest sequence of the stream of changes, and the one up to
// which every saver has settled all events.
func (b *Bus) Settled(ctx context.Context) (last, settled uint64, err error) {
	stream, settled, err := b.floor(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("what is settled: %w", err)
	}
	return stream.CachedInfo().State.LastSeq, settled, nil
}

// TrimShare is how full the stream of changes may become, as a share of its byte limit,
// before Trim drops what is saved.
const TrimShare = 0.6

// Trim drops events that every saver has settled, when the stream of changes is
// fuller than TrimShare: a stream that refuses when it is
// full would refuse because of what is saved already. It drops the oldest, until half
// of that is left: a join reads the answers of the last minute from those that were
// stored last, and a replay whatever PostgreSQL has lost. It returns how many went.
func (b *Bus) Trim(ctx context.Context) (dropped uint64, err error) { return b.trim(ctx, TrimShare) }

func (b *Bus) trim(ctx context.Context, share float64) (dropped uint64, err error) {
	stream, floor, err := b.floor(ctx)
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	info := stream.CachedInfo()
	if info.Config.MaxBytes < 1 || float64(info.State.Bytes) < share*float64(info.Config.MaxBytes) {
		return 0, nil
	}
	upTo := min(floor, dropTo(info, share/2))
	if upTo < info.State.FirstSeq {
		return 0, nil
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(upTo+1)); err != nil {
		return 0, fmt.Errorf("trim: %w", unavailable(err))
	}
	return upTo + 1 - info.State.FirstSeq, nil
}

// dropTo is the sequence behind which messages take share of the stream's limit, as far
// as all are of a size.
func dropTo(info *jetstream.StreamInfo, share float64) uint64 {
	part := share * float64(info.Config.MaxBytes) / float64(max(info.State.Bytes, 1))
	return info.State.LastSeq - uint64(part*float64(info.State.Msgs))
}
