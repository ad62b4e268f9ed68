package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// History calls yield with every event of some characters that the stream still
// holds, settled or not, each character's in the order in which they were
// stored. Events published without the character in their subject are not among
// them, nor is what cannot be saved.
func (b *Bus) History(ctx context.Context, chars []events.CharID, yield func(events.Stored)) error {
	if len(chars) == 0 {
		return nil
	}
	open, err := b.firstUnsettled(ctx)
	if err != nil {
		return fmt.Errorf("history of %d characters: %w", len(chars), err)
	}
	for _, char := range chars {
		err := b.eachEvent(ctx, char, tailStart{}, func(msg *jetstream.RawStreamMsg) bool {
			if e, ok := readEvent(msg); ok {
				yield(events.Stored{StateChanged: e, Sequence: msg.Sequence, StoredAt: msg.Time, Settled: msg.Sequence < open[e.Scope]})
			}
			return true
		})
		if err != nil {
			return fmt.Errorf("history of character %d: %w", char, err)
		}
	}
	return nil
}

// readEvent reads a stored event of a character as a saver would. One whose subject
// names no character is refused.
func readEvent(msg *jetstream.RawStreamMsg) (e events.StateChanged, ok bool) {
	scope, char, err := events.ParseSubject(msg.Subject)
	if err != nil {
		return e, false
	}
	e, err = events.Decode(msg.Data)
	return e, err == nil && e.CharID == char && e.CheckDelivery(scope, char, msg.Time) == nil
}

// firstUnsettled is, for each scope, the sequence of the oldest event that its
// savers have not settled; above every sequence where they have settled all. A
// scope without a consumer has settled nothing.
func (b *Bus) firstUnsettled(ctx context.Context) (map[events.Scope]uint64, error) {
	stream, err := b.stream(ctx, StreamChanges)
	if err != nil {
		return nil, err
	}
	open := make(map[events.Scope]uint64)
	for _, scope := range events.Scopes() {
		oldest, _, err := b.unsettled(ctx, stream, ConsumerName(scope))
		if errors.Is(err, jetstream.ErrConsumerNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		open[scope] = math.MaxUint64
		if oldest != nil {
			open[scope] = oldest.Sequence
		}
	}
	return open, nil
}

// Sample returns up to n characters that the stream has events of: those of the
// first event at or above random sequences. One may be among them twice.
func (b *Bus) Sample(ctx context.Context, random *rand.Rand, n int) ([]events.CharID, error) {
	stream, err := b.stream(ctx, StreamChanges)
	if err != nil {
		return nil, fmt.Errorf("sample the stream: %w", err)
	}
	state := stream.CachedInfo().State
	if state.Msgs == 0 {
		return nil, nil
	}
	var chars []events.CharID
	for range n {
		at := state.FirstSeq + random.Uint64N(state.LastSeq-state.FirstSeq+1)
		msg, err := stream.GetMsg(ctx, at, jetstream.WithGetMsgSubject("sync.>"))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("sample the stream: %w", Unavailable(err))
		}
		if _, char, err := events.ParseSubject(msg.Subject); err == nil && char != 0 {
			chars = append(chars, char)
		}
	}
	return chars, nil
}
