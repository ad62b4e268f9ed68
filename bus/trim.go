package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TrimShare is how full the stream of changes may become, as a share of its byte limit,
// before Trim drops what is saved.
const TrimShare = 0.6

// replayRest is for how long a replay may hand out nothing and still goes on: one that was
// stopped must not fill the stream up for ever.
const replayRest = time.Hour

// Trim drops events that every saver has settled, when the stream of changes is
// fuller than TrimShare: a stream that refuses when it is full would refuse because of
// what is saved already. It drops the oldest, until half of that is left: a join reads
// the answers of the last minute from those that were stored last, and a replay whatever
// PostgreSQL has lost: what one under way has not come to stays, too. It returns how many
// went.
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
	replayed, err := b.replayed(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	upTo := min(floor, replayed, dropTo(info, share/2))
	if upTo < info.State.FirstSeq {
		return 0, nil
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(upTo+1)); err != nil {
		return 0, fmt.Errorf("trim: %w", Unavailable(err))
	}
	return upTo + 1 - info.State.FirstSeq, nil
}

// replayed is the highest sequence up to which all replays under way have saved all.
func (b *Bus) replayed(ctx context.Context, stream jetstream.Stream) (uint64, error) {
	names, err := consumerNames(ctx, stream, replayPrefix)
	if err != nil {
		return 0, Unavailable(err)
	}
	floor := uint64(math.MaxUint64)
	for _, name := range names {
		replay, err := stream.Consumer(ctx, name)
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return 0, Unavailable(err)
		}
		readers, err := Readers(ctx, stream, name)
		if err != nil {
			return 0, Unavailable(err)
		}
		if info := replay.CachedInfo(); len(readers) > 0 || b.isUnderWay(info) {
			floor = min(floor, info.AckFloor.Stream)
		}
	}
	return floor, nil
}

// isUnderWay reports whether a replay is read, or was until a moment ago. What it has in
// hand does not tell: the server counts as such also what one that was stopped, or killed,
// has left, for as long as nobody goes on with it.
func (b *Bus) isUnderWay(replay *jetstream.ConsumerInfo) bool {
	last := replay.Created
	if handedOut := replay.Delivered.Last; handedOut != nil { // since its leader leads, and it was last moved
		last = *handedOut
	}
	return replay.NumWaiting > 0 || time.Since(last) < b.replayRest
}

// dropTo is the sequence behind which messages take share of the stream's limit, as far
// as all are of a size.
func dropTo(info *jetstream.StreamInfo, share float64) uint64 {
	part := share * float64(info.Config.MaxBytes) / float64(max(info.State.Bytes, 1))
	return info.State.LastSeq - uint64(part*float64(info.State.Msgs))
}
