package savers

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// handed is a message whose bytes are let go of as soon as somebody has it.
type handed struct {
	jetstream.Msg
	over   atomic.Bool
	misuse *atomic.Int64
}

func (m *handed) Metadata() (*jetstream.MsgMetadata, error) {
	if m.over.Load() {
		m.misuse.Add(1)
	}
	return &jetstream.MsgMetadata{}, nil
}

func (m *handed) Nak() error { return nil }

// endless hands out one message after the other.
type endless struct{ misuse atomic.Int64 }

func (s *endless) Fetch(ctx context.Context, _ int) ([]jetstream.Msg, error) {
	if ctx.Err() != nil {
		return nil, nil
	}
	return []jetstream.Msg{&handed{misuse: &s.misuse}}, nil
}

// Whoever has fetched looks at no message that others have already: they let go of its
// bytes while it is read.
func TestFetchedMessagesAreNotReadOnceOthersHaveThem(t *testing.T) {
	source := new(endless)
	w := (&Worker{
		Saver: VitalsStateSaver{}, Source: source, Log: slog.New(slog.DiscardHandler),
		Pace: &Pace{Published: func(context.Context) (uint64, error) { return 0, nil }},
	}).withDefaults()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, beat := make(chan *batch), newHeartbeat(time.Hour)
	done := make(chan struct{})
	go func() { w.fetch(ctx, out, beat); close(done) }()
	for range 2000 {
		b := <-out
		b.msgs[0].(*handed).over.Store(true)
		beat.drop(b)
	}
	cancel()
	for stopped := false; !stopped; {
		select {
		case <-out:
		case <-done:
			stopped = true
		}
	}
	if n := source.misuse.Load(); n > 0 {
		t.Errorf("%d messages were read when others had them", n)
	}
}
