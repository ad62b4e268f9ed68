package bus

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// ErrNoLetter is returned for a sequence that no dead letter has.
var ErrNoLetter = errors.New("no such dead letter")

// ErrCut is returned where a dead letter was to be published again whose body is left
// out.
var ErrCut = errors.New("its body was too large to be kept")

// Letters calls yield with each dead letter, oldest first, until it returns
// false. An empty scope and a char of 0 mean all.
func (b *Bus) Letters(ctx context.Context, scope events.Scope, char events.CharID, yield func(events.DeadLetter) bool) error {
	filter := []string{"dlq", "*", "*"}
	if scope != "" {
		filter[1] = string(scope)
	}
	if char != 0 {
		filter[2] = char.String()
	}
	err := b.pages(ctx, StreamDead, strings.Join(filter, "."), position{}, func(msg *jetstream.RawStreamMsg) bool {
		return yield(newLetter(msg))
	})
	return named("dead letters", err)
}

// LettersFrom returns up to limit dead letters from a sequence on, oldest first,
// and the sequence that goes on after them; 0 where these are the last.
func (b *Bus) LettersFrom(ctx context.Context, from uint64, limit int) (letters []events.DeadLetter, next uint64, err error) {
	page, _, err := b.page(ctx, StreamDead, "dlq.*.*", position{sequence: from}, limit)
	if err != nil || len(page) == 0 {
		return nil, 0, named("dead letters", err)
	}
	for i := range page {
		letters = append(letters, newLetter(&page[i]))
	}
	return letters, page[len(page)-1].Sequence + 1, nil
}

// Letter returns one dead letter, or ErrNoLetter.
func (b *Bus) Letter(ctx context.Context, seq uint64) (events.DeadLetter, error) {
	msg, err := b.get(ctx, StreamDead, atSequence(seq))
	if err != nil {
		return events.DeadLetter{}, fmt.Errorf("dead letter %d: %w", seq, err)
	}
	if msg == nil {
		return events.DeadLetter{}, fmt.Errorf("%w: %d", ErrNoLetter, seq)
	}
	return newLetter(msg), nil
}

// DeadLetters counts the dead letters of a scope.
func (b *Bus) DeadLetters(ctx context.Context, scope events.Scope) (n uint64, err error) {
	stream, err := b.stream(ctx, StreamDead)
	if err != nil {
		return 0, fmt.Errorf("dead letters: %w", err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter("dlq."+string(scope)+".*"))
	if err != nil {
		return 0, fmt.Errorf("dead letters: %w", Unavailable(err))
	}
	for _, count := range info.State.Subjects {
		n += count
	}
	return n, nil
}

func newLetter(msg *jetstream.RawStreamMsg) events.DeadLetter {
	l := events.DeadLetter{
		Sequence: msg.Sequence, Body: msg.Data,
		Reason: msg.Header.Get(HeaderReason), Subject: msg.Header.Get(HeaderSubject),
	}
	l.Stored, _ = time.Parse(time.RFC3339Nano, msg.Header.Get(HeaderTime)) // zero where somebody else wrote it
	l.Original, _ = strconv.ParseUint(msg.Header.Get(HeaderSequence), 10, 64)
	l.Cut, _ = strconv.Atoi(msg.Header.Get(HeaderCut))
	tokens := strings.Split(msg.Subject, ".")
	if len(tokens) == 3 {
		l.Scope = events.Scope(tokens[1])
		l.Char, _ = events.ParseCharID(tokens[2]) // 0 where it is not known
	}
	return l
}

// RetryLetter publishes a dead letter's body again where it came from, and
// drops the letter when the stream has it. If it is still no good, it comes
// back with a new reason. One without its body stays: the error wraps ErrCut.
func (b *Bus) RetryLetter(ctx context.Context, l events.DeadLetter) error {
	if l.Cut > 0 {
		return fmt.Errorf("retry dead letter %d: %w (%d bytes); see event %d of %s", l.Sequence, ErrCut, l.Cut, l.Original, StreamChanges)
	}
	msg := nats.NewMsg(strings.TrimSuffix(l.Subject, "."+events.NoCharacter))
	msg.Data = l.Body
	if _, err := b.js.PublishMsg(ctx, msg); err != nil {
		return fmt.Errorf("retry dead letter %d: %w", l.Sequence, Unavailable(err))
	}
	return b.DropLetter(ctx, l.Sequence)
}

// DropLetter removes a dead letter for good. One that is gone is no error.
func (b *Bus) DropLetter(ctx context.Context, seq uint64) error {
	stream, err := b.stream(ctx, StreamDead)
	if err != nil {
		return fmt.Errorf("drop dead letter %d: %w", seq, err)
	}
	err = stream.DeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, gone := b.Letter(ctx, seq); errors.Is(gone, ErrNoLetter) {
			return nil
		}
	}
	return named("drop dead letter "+strconv.FormatUint(seq, 10), Unavailable(err))
}
