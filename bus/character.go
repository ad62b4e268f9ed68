package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// subjectsOf are those of a character's events of all scopes.
func subjectsOf(char events.CharID) string { return "sync.*." + char.String() }

// eachEvent calls yield with each stored event of a character from a place on, in the
// order of the sequences, until it returns false. Each scope is read by itself: for a
// subject the server knows where to look, for a wildcard it looks at every message
// (4 to 15 ms of it in a stream of 400,000, instead of 0.1).
func (b *Bus) eachEvent(ctx context.Context, char events.CharID, from place, yield func(*jetstream.RawStreamMsg) bool) error {
	var scopes []*pageReader
	for _, scope := range events.Scopes() {
		scopes = append(scopes, &pageReader{b: b, subject: events.Subject(scope, char), from: from})
	}
	for {
		var next *pageReader
		for _, r := range scopes {
			if err := r.fill(ctx); err != nil {
				return err
			}
			if len(r.page) > 0 && (next == nil || r.page[0].Sequence < next.page[0].Sequence) {
				next = r
			}
		}
		if next == nil || !yield(&next.page[0]) {
			return nil
		}
		next.page = next.page[1:]
	}
}

// eachEventSince is eachEvent from a time on. Most characters that are joined come
// back after longer: that there is nothing takes one question.
func (b *Bus) eachEventSince(ctx context.Context, char events.CharID, since time.Time, yield func(*jetstream.RawStreamMsg) bool) error {
	newest, err := b.get(ctx, StreamChanges, last(subjectsOf(char)))
	if err != nil || newest == nil || newest.Time.Before(since) {
		return err
	}
	return b.eachEvent(ctx, char, place{time: since}, yield)
}

// pageReader reads the messages of a subject page by page.
type pageReader struct {
	b       *Bus
	subject string
	from    place
	page    []jetstream.RawStreamMsg // those that were read and not taken
	end     bool                     // there are no more
}

// fill reads the next page where the last one is used up.
func (r *pageReader) fill(ctx context.Context) (err error) {
	for len(r.page) == 0 && !r.end && err == nil {
		r.page, r.end, err = r.b.page(ctx, StreamChanges, r.subject, r.from, readMessages)
		if len(r.page) > 0 {
			r.from = after(r.page)
		}
	}
	return err
}
