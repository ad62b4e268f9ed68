package bus

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/singleflight"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Tails returns how to read a character's tail: its events that may not be saved yet,
// and the requests that events of the last minute have answered, trades among them.
// Events published without the character in their subject are not among them, nor is
// what is settled: a dead letter is no state of the character.
//
// All that savers had not settled when Tails returned is in the tails that are read
// then; so what is saved may be read beside them.
func (b *Bus) Tails(ctx context.Context) (of func(context.Context, events.CharID) (game.Tail, error), err error) {
	start, err := b.tailBegins(ctx)
	if err != nil {
		return nil, fmt.Errorf("where tails begin: %w", err)
	}
	return func(ctx context.Context, char events.CharID) (game.Tail, error) {
		tail, err := b.tailSince(ctx, char, start)
		if err != nil {
			return game.Tail{}, fmt.Errorf("tail of character %d: %w", char, err)
		}
		return tail, nil
	}, nil
}

func (b *Bus) tailSince(ctx context.Context, char events.CharID, start tailStart) (tail game.Tail, err error) {
	newest, err := b.newest(ctx, char)
	if err != nil || newest == nil {
		return tail, err
	}
	if e, ok := readEvent(newest); ok && start.settled(newest) {
		tail.Settled = &e
	}
	if start.excludes(newest) {
		return tail, nil
	}
	err = b.eachEvent(ctx, char, start, func(msg *jetstream.RawStreamMsg) bool {
		if start.excludes(msg) {
			return true
		}
		if e, ok := readEvent(msg); ok {
			tail.Newest = max(tail.Newest, e.Version)
			tail.AnsweredTrades(char, e.Transfers())
			if start.settled(msg) {
				tail.Settled = &e
			} else {
				tail.Events = append(tail.Events, e)
			}
		}
		if key, record, ok := strings.Cut(msg.Header.Get(HeaderRequest), " "); ok {
			tail.Answers = append(tail.Answers, game.Answered{Request: game.Request{Key: key, Record: record}})
		}
		return true
	})
	return tail, err
}

// tailStart is where tails begin, as it was at one moment. The times are of the
// server's clock.
type tailStart struct {
	asked time.Time // by our own clock
	from  time.Time // when the first was stored that has to be read
	floor uint64    // up to which all was settled
	last  time.Time // when the newest had been stored
}

// settled reports whether a message was settled at that moment. In a stream that
// was lost and made again sequences are small again, but times are not.
func (t tailStart) settled(msg *jetstream.RawStreamMsg) bool {
	return msg.Sequence <= t.floor && !msg.Time.After(t.last)
}

// excludes reports whether a message, and so all before it, is left out: it is settled,
// and too old for its answer to be asked for. The time alone does not tell: where another
// server has come to lead the stream, it may have stored what is not settled at an earlier
// time than what lies before it.
func (t tailStart) excludes(msg *jetstream.RawStreamMsg) bool {
	return t.settled(msg) && msg.Time.Before(t.from)
}

// mostSkew is more than the clocks of NATS servers differ.
const mostSkew = 10 * time.Second

// position is where to read from: what excludes leaves out is read and dropped.
func (t tailStart) position() position {
	if t.from.IsZero() {
		return position{}
	}
	return position{time: t.from.Add(-mostSkew)}
}

// tails remembers where they begin.
type tails struct {
	asking singleflight.Group // one question at a time, for all who wait
	mu     sync.Mutex
	start  tailStart
	memory time.Duration
}

func (t *tails) get() (tailStart, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.start, time.Since(t.start.asked) < tailAge
}

func (t *tails) set(start tailStart) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.start = start
}

// tailAge is how long a beginning is taken for the present one. One that is too
// early costs nothing but reading; what is not settled only becomes later.
const tailAge = time.Second

// tailBegins returns where tails begin: at the oldest event that is not settled,
// or at the beginning of the memory for answers where that is earlier.
func (b *Bus) tailBegins(ctx context.Context) (tailStart, error) {
	if known, ok := b.tail.get(); ok {
		return known, nil
	}
	answer := b.tail.asking.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
		defer cancel()
		return b.askWhereTailBegins(ctx)
	})
	select {
	case a := <-answer:
		found, _ := a.Val.(tailStart)
		return found, a.Err
	case <-ctx.Done():
		return tailStart{}, Unavailable(ctx.Err())
	}
}

func (b *Bus) askWhereTailBegins(ctx context.Context) (tailStart, error) {
	asked := time.Now()
	stream, floor, err := b.floor(ctx)
	if err != nil {
		return tailStart{}, err
	}
	state := stream.CachedInfo().State
	from := state.LastTime.Add(-b.tail.memory)
	if floor < state.LastSeq {
		oldest, err := b.get(ctx, StreamChanges, position{sequence: floor + 1}.next(anySubject))
		if err != nil {
			return tailStart{}, err
		}
		if oldest != nil && oldest.Time.Before(from) {
			from = oldest.Time
		}
	}
	if from.Before(state.FirstTime) {
		from = state.FirstTime // an empty stream has none, and 1970 is as good
	}
	found := tailStart{asked: asked, from: from, floor: floor, last: state.LastTime}
	b.tail.set(found)
	return found, nil
}
