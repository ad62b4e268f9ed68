package savers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// noLetters keeps no dead letter.
type noLetters struct{ err error }

func (n noLetters) Bury(context.Context, jetstream.Msg, events.Scope, events.CharID, string) error {
	return n.err
}

// refused is a message of which it counts what becomes.
type refused struct {
	jetstream.Msg
	sequence       uint64
	waits, givenUp *int
}

func (refused) Subject() string { return "sync.vitals.9" }

func (m refused) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Stream: m.sequence}}, nil
}

func (m refused) NakWithDelay(time.Duration) error {
	*m.waits++
	return nil
}

func (m refused) TermWithReason(string) error {
	*m.givenUp++
	return nil
}

// Where the dead letters are full, no more bad events wait than may; the others are given
// up, and it is said which. Where the dead letters are away, none is given up.
func TestOnlyWhereLettersAreFullManyAreGivenUp(t *testing.T) {
	const count = mostWait + 300
	for name, c := range map[string]struct {
		err     error
		givenUp int
	}{
		"full":                {fmt.Errorf("bury: %w", &jetstream.APIError{Code: 503, ErrorCode: 10077}), count - mostWait},
		"the account is full": {fmt.Errorf("bury: %w", &jetstream.APIError{Code: 400, ErrorCode: 10002}), count - mostWait},
		"the server is full":  {fmt.Errorf("bury: %w", &jetstream.APIError{Code: 503, ErrorCode: 10023}), count - mostWait},
		"not there":           {fmt.Errorf("bury: %w", &jetstream.APIError{Code: 404, ErrorCode: jetstream.JSErrCodeStreamNotFound}), 0},
		"away":                {errors.New("no responders"), 0},
	} {
		var (
			waits, givenUp int
			log            bytes.Buffer
		)
		w := (&Worker{Saver: ticks{}, Dead: noLetters{c.err}, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelError}))}).withDefaults()
		for i := range uint64(count) {
			w.bury(t.Context(), refused{sequence: i + 1, waits: &waits, givenUp: &givenUp}, 9, errors.New("bad"))
		}
		if waits != count-c.givenUp || givenUp != c.givenUp {
			t.Errorf("%s: %d wait and %d are given up, want %d", name, waits, givenUp, c.givenUp)
		}
		for i := range c.givenUp {
			if !strings.Contains(log.String(), fmt.Sprintf("sequence=%d ", mostWait+i+1)) {
				t.Fatalf("%s: nobody is told that event %d is given up", name, mostWait+i+1)
			}
		}
	}
}

// gathering keeps dead letters when some have come together.
type gathering struct {
	mu   sync.Mutex
	left int
	all  chan struct{}
}

func (g *gathering) Bury(ctx context.Context, _ jetstream.Msg, _ events.Scope, _ events.CharID, _ string) error {
	g.mu.Lock()
	if g.left--; g.left == 0 {
		close(g.all)
	}
	g.mu.Unlock()
	select {
	case <-g.all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// noEvent is a message that cannot be read.
type noEvent struct{ refused }

func (noEvent) Data() []byte { return []byte("no event") }

// Many bad events among those that were fetched do not wait for each other's room among
// the dead letters.
func TestBadEventsAreBuriedTogether(t *testing.T) {
	letters := &gathering{left: buriedAtOnce, all: make(chan struct{})}
	w := (&Worker{Saver: VitalsStateSaver{}, Dead: letters, Log: slog.New(slog.DiscardHandler)}).withDefaults()
	var waits, buried int
	var mu sync.Mutex
	msgs := make([]jetstream.Msg, buriedAtOnce)
	for i := range msgs {
		msgs[i] = counted{noEvent{refused{sequence: uint64(i + 1), waits: &waits, givenUp: &buried}}, &mu}
	}

	var b batch
	w.decode(t.Context(), msgs, &b)

	if buried != len(msgs) || waits > 0 || len(b.events) > 0 {
		t.Errorf("%d of %d are buried, and %d wait", buried, len(msgs), waits)
	}
}

// counted is settled by many at once.
type counted struct {
	noEvent
	mu *sync.Mutex
}

func (m counted) NakWithDelay(d time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused.NakWithDelay(d)
}

func (m counted) TermWithReason(reason string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused.TermWithReason(reason)
}
