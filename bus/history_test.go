package bus_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/savepoint-games/savepoint/events"
)

// History holds what is settled, too, and tells it apart; more than one answer
// of the server holds.
func TestHistoryIsEveryRetainedEventOfTheCharacter(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	var want []string
	const settled = 700
	for i := range settled + 2 {
		r.publish(r.vitals(43))
		want = append(want, fmt.Sprint(r.publish(r.vitals(42))[0].Version, " settled ", i < settled))
	}
	r.put("sync.vitals.42", "no event")
	want = append(want, fmt.Sprint(r.publish(r.items(42))[0].Version, " settled false"))
	r.ack(r.take(r.source(events.ScopeVitals), 2*settled)...)

	byScope := map[events.Scope][]string{}
	last := uint64(0)
	r.must(r.bus.History(t.Context(), []events.CharID{42}, func(e events.Stored) {
		if e.CharID != 42 || e.Sequence <= last || e.StoredAt.IsZero() {
			t.Errorf("%+v after sequence %d", e, last)
		}
		last = e.Sequence
		byScope[""] = append(byScope[""], fmt.Sprint(e.Version, " settled ", e.Settled))
	}))
	equal(t, "history", byScope[""], want)
	r.must(r.bus.History(t.Context(), []events.CharID{99}, func(e events.Stored) { t.Errorf("of nobody: %+v", e) }))
}

func TestSampleNamesCharactersOfTheStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	random := func() *rand.Rand { return rand.New(rand.NewPCG(7, 0)) }
	if chars, err := r.bus.Sample(t.Context(), random(), 5); err != nil || len(chars) > 0 {
		t.Errorf("of an empty stream: %v, %v", chars, err)
	}
	for char := range events.CharID(50) {
		r.publish(r.vitals(char + 1))
	}
	first, err := r.bus.Sample(t.Context(), random(), 10)
	r.must(err)
	again, err := r.bus.Sample(t.Context(), random(), 10)
	r.must(err)
	equal(t, "the same seed", again, first)
	if len(first) != 10 {
		t.Errorf("%d characters, want 10", len(first))
	}
}

func TestLettersFromGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for n := range 3 {
		r.put("sync.vitals.42", fmt.Sprint(n))
		r.bury(42, "bad")
	}
	var bodies []string
	for next, pages := uint64(0), 0; pages == 0 || next > 0; pages++ {
		letters, after, err := r.bus.LettersFrom(t.Context(), next, 2)
		r.must(err)
		for _, l := range letters {
			bodies = append(bodies, string(l.Body))
		}
		next = after
	}
	equal(t, "letters", bodies, []string{"0", "1", "2"})
}

// A row that is refused again and again keeps its newest letter; another row of
// the character keeps its own, and so does one that nobody can read.
func TestNewerLetterOfTheSameRowsReplacesTheOlder(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	bag := func() events.StateChanged { return r.items(42) }
	old, newer := bag(), bag()
	other := bag()
	other.Data = events.Inventory{Items: []events.ItemChange{{ItemID: "sword", Delta: 1, Quantity: 1}}}
	both := events.StateChanged{}
	for _, e := range []events.StateChanged{other, old, newer, both} {
		if e.Data == nil {
			r.put("sync.inventory.42", "no event")
		} else {
			r.publish(e)
		}
		msg := r.take(r.source(events.ScopeInventory), 1)[0]
		r.must(r.bus.Bury(t.Context(), msg, events.ScopeInventory, 42, "bad"))
	}

	var left []uint64
	for _, l := range r.letters("", 0) {
		left = append(left, l.Sequence)
	}
	equal(t, "letters left", left, []uint64{1, 3, 4})

	// An older one that comes late leaves the newer.
	r.publish(old)
	r.must(r.bus.Bury(t.Context(), r.take(r.source(events.ScopeInventory), 1)[0], events.ScopeInventory, 42, "bad"))
	if _, err := r.bus.Letter(t.Context(), 3); err != nil {
		t.Errorf("the newer letter: %v", err)
	}
}

func TestHistoryWithoutAServerIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	stop(t, r.server)
	within(t, "the end of the questions", func() {
		isUnavailable(t, r.bus.History(t.Context(), []events.CharID{1}, func(events.Stored) {}))
		_, _, err := r.bus.LettersFrom(t.Context(), 0, 1)
		isUnavailable(t, err)
		isUnavailable(t, r.bus.Letters(t.Context(), "", 0, func(events.DeadLetter) bool { return true }))
	})
}
