package bus

import (
	"context"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Tail is Tails of one character.
func (b *Bus) Tail(ctx context.Context, char events.CharID) (game.Tail, error) {
	tailOf, err := b.Tails(ctx)
	if err != nil {
		return game.Tail{}, err
	}
	return tailOf(ctx, char)
}

// SetAnswerMemory changes how far back answers are looked up, from now on.
func (b *Bus) SetAnswerMemory(d time.Duration) {
	b.tail.memory = d
	b.tail.set(tailStart{})
}

// SetTailBegin has tails begin at a time, with all settled up to floor, for a second.
func (b *Bus) SetTailBegin(from time.Time, floor uint64) {
	now := time.Now()
	b.tail.set(tailStart{asked: now, from: from, floor: floor, last: now.Add(time.Hour)})
}

// SetReplayRest changes for how long a replay may hand out nothing and still goes on.
func (b *Bus) SetReplayRest(d time.Duration) { b.replayRest = d }

// MostUnacked is how many publishes may wait for their ack.
const MostUnacked = mostUnacked

// DecodeAck reads the answer of a stream.
var DecodeAck = decodeAck

// DecodeGot reads the answer to a question for one message.
var DecodeGot = decodeGot

// TrimAbove is Trim for another share.
func (b *Bus) TrimAbove(ctx context.Context, share float64) (uint64, error) {
	return b.trim(ctx, share)
}
