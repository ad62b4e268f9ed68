package intake_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// What ends a catch-up early, and what is settled then.

// A saver that takes no part comes while another reads without acks, and draws what
// that one works on: both go on, each with acks.
func TestCatchUpEndsWhenAnotherSaverComes(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.intake.SetSettleEvery(20 * time.Millisecond)
	r.fill(1000)
	source, other := r.source(events.ScopeVitals), r.source(events.ScopeVitals)
	other.AckEach = true
	r.ack(r.catchUp(source)...)

	stacktest.Eventually(t, "acks of each event", func() bool {
		r.fill(2 * at)
		for _, msg := range slices.Concat(r.next(other, at), r.next(source, at)) {
			r.must(msg.Ack()) // the server does not answer where the consumer was moved
		}
		return !source.CatchesUp()
	})
	r.giveUp(other)
	r.giveUp(source)
}

// While the connection was broken, the server may have lost the end of its stream:
// what was read before is not settled by its sequence.
func TestNothingIsSettledAfterAnotherConnection(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.intake.SetSettleEvery(20 * time.Millisecond)
	r.fill(1000)
	source := r.source(events.ScopeVitals)
	msgs := r.catchUp(source)
	begun := sequence(t, msgs[0]) - 1
	stop(t, r.server)
	stacktest.Eventually(t, "disconnected", func() bool { return !r.bus.Conn().IsConnected() })
	stacktest.RestartNATS(t, r.server.Config())
	stacktest.Eventually(t, "connected", func() bool { return r.bus.Conn().IsConnected() })

	r.ack(msgs...)

	stacktest.Eventually(t, "acks of each event", func() bool {
		msgs := r.next(source, at)
		if floor := r.floor(); floor > begun && !source.CatchesUp() && sequence(t, msgs[0]) > begun+1 {
			t.Fatalf("the consumer is at %d, was at %d before the connection broke", floor, begun)
		}
		return !source.CatchesUp()
	})
	r.giveUp(source)
}

// A stream that was made again has other events at the same sequences.
func TestNothingIsSettledInAnotherStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.intake.SetSettleEvery(time.Hour) // it settles at the end
	r.fill(1000)
	source := r.source(events.ScopeVitals)
	msgs := r.catchUp(source)
	r.must(r.js.DeleteStream(t.Context(), bus.StreamChanges))
	r.must(r.bus.Ensure(t.Context(), seldom))
	r.fill(1000)
	begun := int(sequence(t, msgs[0]) - 1)
	r.ack(r.take(r.source(events.ScopeVitals), begun)...)

	r.ack(msgs...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := source.Fetch(ctx, at)
	r.must(err)
	r.process.close(t.Context())

	if floor := r.floor(); floor != uint64(begun) {
		t.Errorf("the consumer of the new stream is at %d, and only %d are settled", floor, begun)
	}
}

// The reader has more, and the server has no request of this saver: it finds out and
// asks again, and the catch-up goes on.
func TestCatchUpAsksAgainWhereTheServerHasNoRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	last := r.fill(3000)
	empty, err := r.intake.Source(t.Context(), events.ScopeCombat)
	r.must(err)
	source := r.source(events.ScopeVitals)
	msgs := r.catchUp(source)
	reader, next := source.Reader(), sequence(t, msgs[0])

	r.must(source.DeafToReader(empty.Consumer()))

	for {
		for _, seq := range sequences(t, msgs) {
			if seq != next {
				t.Fatalf("%d came, want %d", seq, next)
			}
			next++
		}
		r.ack(msgs...)
		if next > last {
			return
		}
		if msgs = r.next(source, at); source.Reader() != reader {
			t.Fatalf("the catch-up has ended before %d", next)
		}
	}
}

// The consumer cannot be moved beyond what is given back, so everything behind it is saved
// in vain: the catch-up ends, whatever else is in hand and however much was handed out, and
// the next one waits.
func TestGivenBackEndsACatchUp(t *testing.T) {
	t.Parallel()
	for name, all := range map[string]bool{"with others in hand": false, "when all is handed out": true} {
		r := newRig(t, seldom)
		r.intake.SetSettleEvery(time.Hour) // nothing else makes it look
		last := r.fill(1000)
		source := r.source(events.ScopeVitals)
		msgs := r.catchUp(source)
		for all && sequence(t, msgs[len(msgs)-1]) < last {
			msgs = append(msgs, r.next(source, at)...)
		}
		back := sequence(t, msgs[0])

		r.must(msgs[0].Nak())

		stacktest.Eventually(t, name+": acks of each event", func() bool {
			msgs := r.next(source, at)
			return !source.CatchesUp() && slices.Contains(sequences(t, msgs), back)
		})
		if source.Pause() == 0 {
			t.Errorf("%s: the next catch-up begins at once", name)
		}
		r.giveUp(source)
	}
}

// A saver that ends leaves nothing unsettled that it has saved.
func TestCatchUpIsSettledWhenItsSaverEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.intake.SetSettleEvery(time.Hour)
	r.fill(1000)
	source := r.source(events.ScopeVitals)
	msgs := r.catchUp(source)
	r.giveUp(source)
	r.ack(msgs...)

	r.process.close(t.Context())

	if floor, want := r.floor(), sequence(t, msgs[len(msgs)-1]); floor != want {
		t.Errorf("the consumer is at %d, saved is up to %d", floor, want)
	}
}

// An operator who pauses a consumer wants nothing saved.
func TestCatchUpEndsWhenTheConsumerIsPaused(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.intake.SetSettleEvery(20 * time.Millisecond)
	last := r.fill(3000)
	source := r.source(events.ScopeVitals)
	r.ack(r.catchUp(source)...)
	_, err := r.js.PauseConsumer(t.Context(), bus.StreamChanges, "saver-vitals", time.Now().Add(time.Hour))
	r.must(err)

	for source.CatchesUp() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		msgs, err := source.Fetch(ctx, at) // in the end nothing comes
		cancel()
		r.must(err)
		r.ack(msgs...)
	}
	if floor := r.floor(); floor == last {
		t.Error("all was saved, though the consumer is paused")
	}
}

// A saver may lack the permission to move its consumer. Then nothing that it has read
// without acks is settled: it comes again, with acks.
func TestBacklogIsSavedWhereTheConsumerMustNotBeMoved(t *testing.T) {
	t.Parallel()
	r := newRigOn(t, configured(t, `no_auth_user: all, authorization { users: [
		{ user: all, password: secret }
		{ user: restricted, password: secret, permissions { publish { deny: "$JS.API.CONSUMER.RESET.>" } } }
	] }`))
	r.must(r.bus.Ensure(t.Context(), seldom))
	last := r.fill(3000)
	own := *r
	own.process = connect(t, strings.Replace(r.server.URL(), "//", "//restricted:secret@", 1))
	own.intake.SetSettleEvery(20 * time.Millisecond)
	source := own.source(events.ScopeVitals)

	came := make(map[uint64]int)
	caughtUp := false
	for r.floor() < last {
		msgs := own.next(source, at)
		for _, seq := range sequences(t, msgs) {
			came[seq]++
		}
		r.ack(msgs...)
		caughtUp = caughtUp || source.CatchesUp()
	}
	if len(came) != 3000 {
		t.Errorf("%d events came, want 3000", len(came))
	}
	if !caughtUp {
		t.Error("nothing was read without acks, so nothing was tried")
	}
}
