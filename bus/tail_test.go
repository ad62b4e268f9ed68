package bus_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// tail fails where the tail of the character is not want.
func (r *rig) tail(char events.CharID, want ...events.StateChanged) {
	r.t.Helper()
	r.bus.SetAnswerMemory(time.Hour) // and asks anew where the tail begins
	got, err := r.bus.Tail(r.t.Context(), char)
	r.must(err)
	equal(r.t, "tail of "+char.String(), got.Events, want)
}

// A tail reaches back to the oldest event that is not settled and, for the sake
// of the answers, a minute; what is older and settled is not read again.
func TestTailLeavesOutWhatIsSettledAndOld(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.bus.SetAnswerMemory(time.Nanosecond)
	request := game.Request{Key: "k", Record: `{"answer":"<ü> 1"}`}
	send := func(e events.StateChanged) {
		t.Helper()
		wait, err := r.bus.Send(game.Origin{Request: request}, e)
		r.must(err)
		r.must(wait(t.Context()))
	}
	send(r.vitals(42))
	r.await(1, 0)
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	last := r.publish(r.items(7), r.items(42))
	got, err := r.bus.Tail(t.Context(), 42)
	r.must(err)
	equal(t, "tail", got.Events, last[1:])
	equal(t, "answers", len(got.Answers), 0)

	r.bus.SetAnswerMemory(time.Hour)
	got, err = r.bus.Tail(t.Context(), 42)
	r.must(err)
	equal(t, "answers of the last hour", got.Answers, []game.Answered{{Request: request}})
}

func TestTailHasTheCharactersUnsettledEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.tail(42)
	sent := r.publish(r.vitals(42), r.items(7), r.items(42), r.vitals(42))
	r.await(2, 2)
	r.tail(42, sent[0], sent[2], sent[3])
	r.tail(7, sent[1])
	r.tail(8)

	// Handed out is not settled.
	vitals := r.take(r.source(events.ScopeVitals), 2)
	bags := r.take(r.source(events.ScopeInventory), 2)
	r.tail(42, sent[0], sent[2], sent[3])

	r.ack(vitals[0], bags[0])
	r.tail(42, sent[2], sent[3])
	r.tail(7)

	// One scope is behind: what lies above its first unsettled event may be
	// unsaved, too.
	r.ack(vitals[1])
	r.tail(42, sent[2], sent[3])

	r.ack(bags[1])
	r.tail(42)
}

// A hole in what is settled holds the floor down.
func TestTailBeginsAboveTheLowestUnsettledEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	sent := r.publish(r.vitals(42), r.vitals(42), r.vitals(42))
	r.await(3, 0)
	msgs := r.take(r.source(events.ScopeVitals), 3)

	r.ack(msgs[1])
	r.tail(42, sent...)

	r.ack(msgs[0])
	r.tail(42, sent[2])
}

// What savers will bury is no state of the character.
func TestTailIgnoresWhatNoSaverWouldSave(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	encode := func(e events.StateChanged) string {
		body, err := events.Encode(&e)
		r.must(err)
		return string(body)
	}
	ahead := r.vitals(42)
	ahead.Version = events.Version(time.Now().Add(events.MaxAhead + time.Hour).UnixMicro())
	first := r.publish(r.vitals(42))[0]
	for _, body := range []string{"", "{", `{"schema":2}`, encode(r.vitals(43)), encode(ahead)} {
		r.put("sync.vitals.42", body)
	}
	r.put("sync.vitals", encode(r.vitals(42))) // nobody can find it by its character
	last := r.publish(r.vitals(42))[0]
	r.await(8, 0)

	r.tail(42, first, last)
	r.tail(43)
}

func TestQuestionsWithoutAStreamAreUnavailable(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	_, err := r.bus.Tail(t.Context(), 42)
	isUnavailable(t, err)
	_, err = r.bus.Backlog(t.Context(), events.ScopeVitals)
	isUnavailable(t, err)
	_, err = r.bus.TrimAbove(t.Context(), 0)
	isUnavailable(t, err)
	_, err = r.bus.DeadLetters(t.Context(), events.ScopeVitals)
	isUnavailable(t, err)
	_, err = r.bus.LastSequence(t.Context())
	isUnavailable(t, err)
}

// For a wildcard the server looks at every message from a position on, and all publishers
// wait. A tail asks for a wildcard's newest message alone, which it finds by its index,
// and for nothing else where that is none.
func TestTailAsksNothingThatMakesTheServerSearch(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.publish(r.vitals(42), r.items(42), r.vitals(7), r.vitals(42))
	asked := make(chan *nats.Msg, 100)
	for _, api := range []string{"$JS.API.STREAM.MSG.GET.SYNC", "$JS.API.DIRECT.GET.SYNC"} {
		_, err := r.nc.ChanSubscribe(api, asked)
		r.must(err)
	}
	r.must(r.nc.Flush())
	questions := func(char events.CharID, want int) (all []string) {
		t.Helper()
		tail, err := r.bus.Tail(t.Context(), char)
		r.must(err)
		equal(t, "events of "+char.String(), len(tail.Events), want)
		r.must(r.nc.Flush())
		for len(asked) > 0 {
			question := string((<-asked).Data)
			if strings.Contains(question, "."+char.String()) { // else it is where tails begin
				all = append(all, question)
			}
		}
		return all
	}
	equal(t, "questions for a character without events", questions(99, 0), []string{`{"last_by_subj":"sync.*.99"}`})
	for _, question := range questions(42, 3)[1:] {
		if strings.Contains(question, "*") {
			t.Errorf("asked %s", question)
		}
	}
}

// What is saved may be read beside the tails: they have all that was not settled when
// Tails returned, even if it is settled by the time they are read.
func TestTailsHaveWhatWasNotSettledWhenTheyBegan(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	settled := r.publish(r.vitals(42))
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	sent := r.publish(r.vitals(42), r.items(42))
	tailOf, err := r.bus.Tails(t.Context())
	r.must(err)
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	r.ack(r.take(r.source(events.ScopeInventory), 1)...)

	tail, err := tailOf(t.Context(), 42)
	r.must(err)
	equal(t, "tail", tail.Events, sent)
	equal(t, "newest version", tail.Newest, max(sent[1].Version, settled[0].Version))
}

// Clocks differ: where another server has come to lead the stream, it stores what is not
// settled at an earlier time than what lies before it. That is in the tail all the same.
func TestTailHasWhatAServerWithASlowClockStored(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	sent := r.publish(r.vitals(42))
	for floor, want := range map[uint64][]events.StateChanged{0: sent, 1: nil} {
		r.bus.SetTailBegin(time.Now().Add(5*time.Second), floor)
		tail, err := r.bus.Tail(t.Context(), 42)
		r.must(err)
		equal(t, fmt.Sprintf("tail above %d", floor), tail.Events, want)
	}
}

// The newest event of a character comes with its tail where savers have settled it,
// however old it is: what it says has to be saved. One that is not settled is not it.
func TestTailTellsOfTheNewestSettledEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	check := func(when string, want ...events.StateChanged) {
		t.Helper()
		for _, memory := range []time.Duration{time.Nanosecond, time.Hour} {
			r.bus.SetAnswerMemory(memory)
			tail, err := r.bus.Tail(t.Context(), 42)
			r.must(err)
			var got []events.StateChanged
			if tail.Settled != nil {
				got = append(got, *tail.Settled)
			}
			equal(t, fmt.Sprint(when, ", answers of the last ", memory), got, want)
		}
	}
	sent := r.publish(r.vitals(42), r.vitals(42))
	r.await(2, 0)
	check("published")

	msgs := r.take(r.source(events.ScopeVitals), 2)
	r.ack(msgs...)
	r.publish(r.vitals(7))
	r.await(1, 0)
	check("settled", sent[1])
}

// Retained is all that the stream has of a character, settled or not, and since when
// one asks; but for what is among the dead letters.
func TestRetainedLeavesOutDeadLetters(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	check := func(since time.Time, want ...events.StateChanged) {
		t.Helper()
		var got []events.StateChanged
		r.must(r.bus.Retained(t.Context(), 42, since, func(e *events.StateChanged) { got = append(got, *e) }))
		equal(t, fmt.Sprint("retained since ", since), got, want)
	}
	check(time.Time{})
	sent := r.publish(r.vitals(42), r.vitals(42), r.items(42), r.vitals(43), r.vitals(42))
	r.await(4, 1)
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	r.ack(r.bury(42, "no good"))
	r.put("sync.vitals.42", "no event")

	check(time.Time{}, sent[0], sent[2], sent[4])
	check(time.Now().Add(time.Minute)) // more than clocks may differ
}

// The consumers' own counts follow the ack of a publish by some moments.
func TestTailHasWhatWasJustAcknowledged(t *testing.T) {
	r := newRig(t, seldom)
	missed := 0
	for range 300 {
		sent := r.publish(r.vitals(42))
		r.bus.SetAnswerMemory(time.Nanosecond) // and asks anew where the tail begins
		tail, err := r.bus.Tail(t.Context(), 42)
		r.must(err)
		if len(tail.Events) == 0 || tail.Events[len(tail.Events)-1].Version != sent[0].Version {
			missed++
		}
		r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	}
	if missed > 0 {
		t.Errorf("%d of 300 acknowledged, unsaved events were not in the tail", missed)
	}
}
