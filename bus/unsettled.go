package bus

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// unsettled is the oldest event that a saver's consumer has not settled, or nil, and
// the consumer as it was before; stream is what was known of the stream before that. It
// asks what is stored: the consumer's own count of what is pending follows some moments
// after the publisher's ack.
//
// It asks so that the server need not look far. Of many characters, the first event
// of a scope is found by the subjects of all where the stream begins (8 ms of
// 400,000), and by looking at every message where there is none (more).
func (b *Bus) unsettled(ctx context.Context, stream jetstream.Stream, name string) (*jetstream.RawStreamMsg, *jetstream.ConsumerInfo, error) {
	found, err := stream.Consumer(ctx, name)
	if err != nil {
		return nil, nil, Unavailable(err)
	}
	known, consumer := stream.CachedInfo(), found.CachedInfo()
	from, err := b.firstToLookAt(ctx, known, consumer)
	if err != nil {
		return nil, nil, err
	}
	oldest, err := b.firstMatching(ctx, from, consumer.Config.FilterSubject)
	if err == nil && oldest == nil {
		b.allSettledAt.put(consumer, allSettled{
			made: known.Created, floor: consumer.AckFloor.Stream, last: known.State.LastSeq, time: known.State.LastTime,
		})
	}
	return oldest, consumer, err
}

// firstMatching is the first message from a position on that matches a consumer's filter.
func (b *Bus) firstMatching(ctx context.Context, from position, filter string) (*jetstream.RawStreamMsg, error) {
	first, err := b.get(ctx, StreamChanges, from.next(anySubject))
	scope, one := strings.CutSuffix(filter, ".*")
	if err != nil || first == nil || filter == "" {
		return first, err
	}
	if one && !strings.ContainsAny(scope, "*>") { // else the server tells
		if strings.HasPrefix(first.Subject, scope+".") {
			return first, nil
		}
		from = position{sequence: first.Sequence + 1}
	}
	return b.get(ctx, StreamChanges, from.next(filter))
}

// firstToLookAt is where a consumer may have something left: above its floor, and above
// what the stream had when it was last seen to have nothing left. A stream that was lost
// since, or its end, has other messages there.
func (b *Bus) firstToLookAt(ctx context.Context, stream *jetstream.StreamInfo, consumer *jetstream.ConsumerInfo) (position, error) {
	floor := consumer.AckFloor.Stream
	seen := b.allSettledAt.get(consumer)
	if seen.last > floor && seen.floor <= floor && seen.made.Equal(stream.Created) {
		msg, err := b.get(ctx, StreamChanges, atSequence(seen.last))
		if err != nil {
			return position{}, err
		}
		if msg != nil && msg.Time.Equal(seen.time) {
			floor = seen.last
		}
	}
	return position{sequence: floor + 1}, nil
}

// allSettled is what was seen when a consumer had settled all.
type allSettled struct {
	made  time.Time // when the stream was created
	floor uint64    // the consumer's, which goes back where it is told to read again
	last  uint64    // newest sequence of the stream
	time  time.Time // when that was stored
}

// allSettledAt remembers when each consumer last had.
type allSettledAt struct {
	mu   sync.Mutex
	last map[string]allSettled
}

// lookKey tells consumers apart, and what they are told to read.
func lookKey(consumer *jetstream.ConsumerInfo) string {
	return consumer.Name + " " + consumer.Config.FilterSubject
}

func (l *allSettledAt) get(consumer *jetstream.ConsumerInfo) allSettled {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[lookKey(consumer)]
}

func (l *allSettledAt) put(consumer *jetstream.ConsumerInfo, seen allSettled) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = make(map[string]allSettled)
	}
	l.last[lookKey(consumer)] = seen
}
