package intake_test

import (
	"bytes"
	"errors"
	"reflect"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

func release(msg jetstream.Msg) bool { return msg.(interface{ Release() bool }).Release() }

// What is left of a message whose bytes were let go of knows where it is, and can be
// buried: its dead letter has what the stream has.
func TestReleasedMessageIsBuriedAsItWas(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	r := newRig(t, seldom)
	for i := range 1000 {
		msg := nats.NewMsg("sync.vitals.42")
		msg.Data = strconv.AppendInt(nil, int64(i), 10)
		msg.Header.Set(bus.HeaderTrace, trace)
		_, err := r.js.PublishMsgAsync(msg)
		r.must(err)
	}
	<-r.js.PublishAsyncComplete()
	msgs := r.catchUp(r.source(events.ScopeVitals))
	meta, err := msgs[0].Metadata()
	r.must(err)
	body := bytes.Clone(msgs[0].Data())

	if !release(msgs[0]) || len(msgs[0].Data()) > 0 {
		t.Fatal("its bytes are held")
	}

	if now, err := msgs[0].Metadata(); err != nil || !reflect.DeepEqual(now, meta) {
		t.Errorf("metadata %+v (%v), before %+v", now, err, meta)
	}
	r.must(r.bus.Bury(t.Context(), msgs[0], events.ScopeVitals, 42, "no"))
	letter := r.stored(1)
	if !bytes.Equal(letter.Data, body) || letter.Header.Get(bus.HeaderSubject) != "sync.vitals.42" || letter.Header.Get(bus.HeaderTrace) != trace {
		t.Errorf("letter %q %v, want %q", letter.Data, letter.Header, body)
	}
	r.must(msgs[0].Term())
	r.ack(msgs[1:]...)
}

// Somebody may have removed it, or the server may have lost it and stored another one
// there.
func TestReleasedMessageThatIsGoneIsNotBuried(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.fill(1000)
	msgs := r.catchUp(r.source(events.ScopeVitals))
	for _, msg := range msgs {
		release(msg)
	}
	stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
	r.must(err)
	r.must(stream.DeleteMsg(t.Context(), sequence(t, msgs[0])))

	for _, msg := range msgs {
		err := r.bus.Bury(t.Context(), msg, events.ScopeVitals, 42, "no")
		if gone := msg == msgs[0]; errors.Is(err, events.ErrGone) != gone || !gone && err != nil {
			t.Errorf("message %d: %v", sequence(t, msg), err)
		}
	}

	// The next ones are of another stream of that name.
	r.must(r.js.DeleteStream(t.Context(), bus.StreamChanges))
	r.must(r.bus.Ensure(t.Context(), seldom))
	if last := r.fill(1000); last < sequence(t, msgs[1]) {
		t.Fatalf("nothing is stored at %d", sequence(t, msgs[1]))
	}
	if err := r.bus.Bury(t.Context(), msgs[1], events.ScopeVitals, 42, "no"); !errors.Is(err, events.ErrGone) {
		t.Errorf("another message was taken for it: %v", err)
	}
}

// Where the server waits for an ack, there is nothing to let go of.
func TestAcknowledgedMessageKeepsItsBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.fill(1)

	msg := r.next(r.source(events.ScopeVitals), at)[0]

	if release(msg) || len(msg.Data()) == 0 {
		t.Error("its bytes are gone")
	}
	r.ack(msg)
}
