package intake_test

import (
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// The sender of some events is told once all of them are saved, however often one of
// them is.
func TestSenderIsToldWhenAllIsSaved(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	vitals, items := r.source(events.ScopeVitals), r.source(events.ScopeInventory)
	var told atomic.Int64
	r.send(func() { told.Add(1) }, r.vitals(42), r.items(42))

	r.must(r.next(vitals, 1)[0].Nak())
	r.must(r.next(vitals, 1)[0].Ack())
	r.again(1)
	r.must(r.next(vitals, 1)[0].Ack())
	r.toldOfAnother(vitals)
	if n := told.Load(); n != 0 {
		t.Errorf("told %d times with one of two events saved", n)
	}
	r.must(r.next(items, 1)[0].Ack())
	stacktest.Eventually(t, "the sender is told", func() bool { return told.Load() == 1 })
}

// An event that is buried is not saved, and one that names another subject has nothing
// told there.
func TestNothingElseIsTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	vitals := r.source(events.ScopeVitals)
	r.send(func() { t.Error("told of an event that was not saved") }, r.vitals(42))
	r.must(r.next(vitals, 1)[0].TermWithReason("dead letter"))

	elsewhere, err := r.js.Conn().SubscribeSync("elsewhere")
	r.must(err)
	r.must(r.js.Conn().Flush())
	_, err = r.js.PublishMsg(t.Context(), &nats.Msg{
		Subject: "sync.vitals.42", Data: []byte("{}"), Header: nats.Header{bus.HeaderSaved: {"elsewhere"}},
	})
	r.must(err)
	r.must(r.next(vitals, 1)[0].Ack())

	r.toldOfAnother(vitals)
	r.must(r.js.Conn().Flush())
	if n, _, err := elsewhere.Pending(); n != 0 || err != nil {
		t.Errorf("%d messages elsewhere (%v)", n, err)
	}
}

// Savers that take a backlog without acks tell, too.
func TestSavesOfABacklogAreTold(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	all := make([]events.StateChanged, 500)
	for i := range all {
		all[i] = r.vitals(42)
	}
	var told atomic.Int64
	r.send(func() { told.Add(1) }, all...)
	source := r.source(events.ScopeVitals)

	msgs := r.catchUp(source)
	r.ack(msgs...)
	for sequence(t, msgs[len(msgs)-1]) < uint64(len(all)) {
		msgs = r.next(source, at)
		r.ack(msgs...)
	}
	stacktest.Eventually(t, "the sender is told", func() bool { return told.Load() == 1 })
}

// send publishes events whose sender wants to know when they are saved.
func (r *rig) send(saved func(), batch ...events.StateChanged) {
	r.t.Helper()
	wait, err := r.bus.Send(game.Origin{Saved: saved}, batch...)
	r.must(err)
	r.must(wait(r.t.Context()))
}

// again stores a message of the stream once more, as it stands.
func (r *rig) again(sequence uint64) {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), bus.StreamChanges)
	r.must(err)
	msg, err := stream.GetMsg(r.t.Context(), sequence)
	r.must(err)
	_, err = r.js.PublishMsg(r.t.Context(), &nats.Msg{Subject: msg.Subject, Data: msg.Data, Header: msg.Header})
	r.must(err)
}

// toldOfAnother returns when what was told before has come.
func (r *rig) toldOfAnother(source *intake.Source) {
	r.t.Helper()
	told := make(chan struct{})
	r.send(func() { close(told) }, r.vitals(4711))
	r.must(r.next(source, 1)[0].Ack())
	within(r.t, "the sender of another event is told", func() { <-told })
}
