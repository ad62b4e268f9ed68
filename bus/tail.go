package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// Tail returns a character's events that may not be saved yet: those above the
// lowest sequence that all savers have settled. Events published without the
// character in their subject are not among them.
func (b *Bus) Tail(ctx context.Context, char events.CharID) ([]events.StateChanged, error) {
	stream, floor, err := b.floor(ctx)
	if err != nil {
		return nil, fmt.Errorf("tail of character %d: %w", char, err)
	}
	var tail []events.StateChanged
	for seq := floor + 1; ; {
		msg, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject("sync.*."+char.String()))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return tail, nil
		}
		if err != nil {
			return nil, fmt.Errorf("tail of character %d: %w", char, unavailable(err))
		}
		seq = msg.Sequence + 1
		e, err := events.Decode(msg.Data)
		if err == nil && e.CharID == char && e.Version.Check(msg.Time) == nil {
			tail = append(tail, e)
		} // the rest is for the dead letters
	}
}

// floor is the highest sequence up to which every saver has settled all events:
// those of all scopes, of builds with other scopes too.
func (b *Bus) floor(ctx context.Context) (jetstream.Stream, uint64, error) {
	stream, err := b.js.Stream(ctx, StreamChanges)
	if err != nil {
		return nil, 0, unavailable(b.noted(err))
	}
	floor := stream.CachedInfo().State.LastSeq // where all is settled
	consumers := stream.ListConsumers(ctx)
	seen := make(map[string]bool)
	for info := range consumers.Info() {
		if !strings.HasPrefix(info.Name, consumerPrefix) {
			continue
		}
		seen[info.Name] = true
		oldest, err := unsettled(ctx, stream, info)
		if err != nil {
			return nil, 0, err
		}
		if oldest != nil {
			floor = min(floor, oldest.Sequence-1)
		}
	}
	if err := consumers.Err(); err != nil {
		return nil, 0, unavailable(err)
	}
	for _, scope := range events.Scopes() {
		if !seen[consumerName(scope)] { // then nobody can say what is settled
			return nil, 0, unavailable(fmt.Errorf("consumer %s: %w", consumerName(scope), jetstream.ErrConsumerNotFound))
		}
	}
	return stream, floor, nil
}

// unsettled is the oldest event that a saver's consumer has not settled, or
// nil. It asks what is stored: the consumer's own count of what is pending
// follows some moments after the publisher's ack.
func unsettled(ctx context.Context, stream jetstream.Stream, info *jetstream.ConsumerInfo) (*jetstream.RawStreamMsg, error) {
	msg, err := stream.GetMsg(ctx, info.AckFloor.Stream+1, jetstream.WithGetMsgSubject(info.Config.FilterSubject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	return msg, unavailable(err)
}

// Backlog is how far the savers of one scope are behind.
type Backlog struct {
	Pending  uint64 // events not handed out yet
	InFlight int    // events handed out and not settled
	// SavedUpTo is the time up to which everything that the stream stored is
	// settled: the age of the oldest event that is not, or the time of asking.
	SavedUpTo time.Time
}

// Backlog asks how far the savers of a scope are behind.
func (b *Bus) Backlog(ctx context.Context, scope events.Scope) (out Backlog, err error) {
	out.SavedUpTo = time.Now()
	stream, err := b.js.Stream(ctx, StreamChanges)
	if err != nil {
		return out, fmt.Errorf("backlog of %s: %w", scope, unavailable(err))
	}
	consumer, err := stream.Consumer(ctx, consumerName(scope))
	if err != nil {
		return out, fmt.Errorf("backlog of %s: %w", scope, unavailable(err))
	}
	info := consumer.CachedInfo()
	out.Pending, out.InFlight = info.NumPending, info.NumAckPending
	oldest, err := unsettled(ctx, stream, info)
	if err != nil {
		return out, fmt.Errorf("backlog of %s: %w", scope, err)
	}
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

// DeadLetters counts the dead letters of a scope.
func (b *Bus) DeadLetters(ctx context.Context, scope events.Scope) (n uint64, err error) {
	stream, err := b.js.Stream(ctx, StreamDead)
	if err != nil {
		return 0, fmt.Errorf("dead letters: %w", unavailable(err))
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("dlq."+string(scope)+".*"))
	if err != nil {
		return 0, fmt.Errorf("dead letters: %w", unavailable(err))
	}
	for _, count := range info.State.Subjects {
		n += count
	}
	return n, nil
}

// Trim drops events that every saver has settled, when the stream of changes is
// fuller than share (0 to 1) of its byte limit: a stream that refuses when it is
// full would refuse because of what is saved already. It returns how many went.
func (b *Bus) Trim(ctx context.Context, share float64) (dropped uint64, err error) {
	stream, floor, err := b.floor(ctx)
	if err != nil {
		return 0, fmt.Errorf("trim: %w", err)
	}
	info := stream.CachedInfo()
	if info.Config.MaxBytes < 1 || float64(info.State.Bytes) < share*float64(info.Config.MaxBytes) {
		return 0, nil
	}
	if floor < info.State.FirstSeq {
		return 0, nil
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSequence(floor+1)); err != nil {
		return 0, fmt.Errorf("trim: %w", unavailable(err))
	}
	return floor + 1 - info.State.FirstSeq, nil
}

// Unsaved is how many events are not settled.
func (b Backlog) Unsaved() uint64 { return b.Pending + uint64(b.InFlight) }
