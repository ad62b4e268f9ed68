package main

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
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

// One that cannot be published again keeps no other from it.
func TestRetryGoesOnAfterALetterThatFails(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for char := range events.CharID(3) {
		r.buried(char+1, "garbage")
	}
	stream, err := r.js.Stream(t.Context(), bus.StreamDead)
	r.must(err)
	first, err := stream.GetMsg(t.Context(), 1)
	r.must(err)
	nowhere := nats.NewMsg(first.Subject) // of a scope that is gone
	nowhere.Header.Set(bus.HeaderSubject, "nowhere")
	_, err = r.js.PublishMsg(t.Context(), nowhere)
	r.must(err)
	r.buried(4, "garbage")

	out := new(bytes.Buffer)
	err = dlqRetryCmd{which{All: true}}.Run(t.Context(), r.cli, &output{Out: out, Err: io.Discard})

	if err == nil || !strings.Contains(err.Error(), "retry dead letter 4") {
		t.Errorf("got %v, want an error that names letter 4", err)
	}
	if !strings.Contains(out.String(), "4 dead letters published again") {
		t.Errorf("it says %q", out)
	}
	var left []uint64
	r.must(r.conns.bus.Letters(t.Context(), "", 0, func(l events.DeadLetter) bool {
		left = append(left, l.Sequence)
		return true
	}))
	if !slices.Equal(left, []uint64{4}) {
		t.Errorf("left are %v, want the one that failed", left)
	}
}

// A list grows old: savers drop what is resolved, and put a newer letter in the place of an
// older.
func TestRetryPassesOverLettersThatAreGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.buried(1, "garbage")
	r.buried(2, "garbage")

	out := new(bytes.Buffer)
	err := dlqRetryCmd{which{Sequence: []uint64{1, 9, 2}}}.Run(t.Context(), r.cli, &output{Out: out, Err: io.Discard})

	if !errors.Is(err, bus.ErrNoLetter) {
		t.Errorf("got %v, want ErrNoLetter", err)
	}
	if !strings.Contains(out.String(), "2 dead letters published again") {
		t.Errorf("it says %q", out)
	}
}
