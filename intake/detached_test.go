package intake_test

import (
	"runtime"
	"slices"
	"testing"
	"time"
	"weak"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func detached(msg jetstream.Msg) jetstream.Msg {
	return msg.(interface{ Detached() jetstream.Msg }).Detached()
}

// A message that somebody has in hand for long does not hold those that came behind it.
func TestDetachedMessageHoldsNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	const n = 4000 // more than lie ready, so that they wait in the client one behind the other
	r.fill(n)
	source := r.source(events.ScopeVitals)
	source.AckEach = true
	var held jetstream.Msg
	var others []weak.Pointer[byte]
	for len(others) < n-1 {
		for _, msg := range r.next(source, 2*n) {
			if held == nil {
				held = detached(msg)
				continue
			}
			others = append(others, weak.Make(&msg.Data()[0]))
		}
	}

	left := func() (left int) {
		runtime.GC()
		for _, p := range others {
			if p.Value() != nil {
				left++
			}
		}
		return left
	}
	// The client may hold the last of each reading.
	stacktest.Eventually(t, "the others are not held", func() bool { return left() < 10 })
	if len(held.Data()) == 0 || held.Subject() != "sync.vitals.42" {
		t.Errorf("the message has %q of %s", held.Data(), held.Subject())
	}
	r.ack(held)
	r.giveUp(source)
}

// A detached message settles as others do.
func TestDetachedMessageIsSettledAsOthersAre(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.fill(5)
	source := r.source(events.ScopeVitals)
	var msgs []jetstream.Msg
	for len(msgs) < 5 {
		msgs = append(msgs, r.next(source, at)...)
	}
	for i, msg := range msgs {
		meta, err := msg.Metadata()
		r.must(err)
		msgs[i] = detached(msg)
		if own, err := msgs[i].Metadata(); err != nil || *own != *meta {
			t.Errorf("metadata %+v (%v), want %+v", own, err, meta)
		}
	}

	r.must(msgs[0].InProgress())
	r.must(msgs[0].Ack())
	r.must(msgs[1].Term())
	r.must(msgs[2].TermWithReason("no event"))
	r.must(msgs[3].Nak())
	r.must(msgs[4].NakWithDelay(time.Millisecond))

	var again []uint64
	for len(again) < 2 {
		msgs := r.next(source, at)
		again = append(again, sequences(t, msgs)...)
		r.ack(msgs...)
	}
	slices.Sort(again)
	equal(t, "what comes again", again, []uint64{4, 5})
	stacktest.Eventually(t, "all is settled", func() bool {
		info := r.saver(events.ScopeVitals)
		return info.NumAckPending == 0 && info.AckFloor.Stream == 5
	})
	r.giveUp(source)
}
