package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// buried publishes a body as vitals of a character and buries it.
func (r *rig) buried(char events.CharID, body string) {
	r.t.Helper()
	subject := events.Subject(events.ScopeVitals, char)
	_, err := r.js.Publish(r.t.Context(), subject, []byte(body))
	r.must(err)
	consumer, err := r.js.CreateConsumer(r.t.Context(), bus.StreamChanges, jetstream.ConsumerConfig{FilterSubject: subject})
	r.must(err)
	msg, err := consumer.Next()
	r.must(err)
	r.must(r.conns.bus.Bury(r.t.Context(), msg, events.ScopeVitals, char, "no event"))
	r.must(r.js.DeleteConsumer(r.t.Context(), bus.StreamChanges, consumer.CachedInfo().Name))
}

// A letter whose body was too large to be kept says so, and where the event is.
func TestLetterWithoutItsBodySaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
	r.must(err)
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgSize = -1 // as one of an older build
	_, err = r.js.UpdateStream(t.Context(), cfg)
	r.must(err)
	r.buried(42, strings.Repeat("x", 1<<20-100))

	list, show := new(bytes.Buffer), new(bytes.Buffer)
	r.must(dlqListCmd{Limit: 10}.Run(t.Context(), r.cli, &output{Out: list, Err: io.Discard}))
	r.must(dlqShowCmd{Sequence: 1}.Run(t.Context(), r.cli, &output{Out: show, Err: io.Discard}))
	err = dlqRetryCmd{which{All: true}}.Run(t.Context(), r.cli, &output{Out: io.Discard, Err: io.Discard})

	for text, want := range map[string]string{list.String(): "no event (without its body)", show.String(): "event 1 of SYNC"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if !errors.Is(err, bus.ErrCut) {
		t.Errorf("retried: %v, want ErrCut", err)
	}
}
