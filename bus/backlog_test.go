package bus_test

import (
	"slices"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

func (r *rig) backlog(scope events.Scope) bus.Backlog {
	r.t.Helper()
	backlog, err := r.bus.Backlog(r.t.Context(), scope)
	r.must(err)
	return backlog
}

func TestBacklogCountsWhatIsNotSettled(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	count := func(pending uint64, inFlight int) {
		t.Helper()
		got := r.backlog(events.ScopeVitals)
		if got.Pending != pending || got.InFlight != inFlight || got.Unsaved() != pending+uint64(inFlight) {
			t.Errorf("backlog %+v (%d unsaved), want %d pending and %d in flight", got, got.Unsaved(), pending, inFlight)
		}
	}
	count(0, 0)
	r.publish(r.vitals(1), r.vitals(2), r.items(3), r.vitals(4))
	r.await(3, 1)
	count(3, 0)
	msgs := r.take(r.source(events.ScopeVitals), 2)
	count(1, 2)
	r.ack(msgs...)
	count(1, 0)
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	count(0, 0)
}

// The time of the oldest unsettled event says up to when all is saved; without
// one that is the time of asking.
func TestSavedUpToIsTheTimeOfTheOldestUnsettledEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.publish(r.items(42), r.vitals(1), r.items(42), r.vitals(2), r.vitals(3))
	msgs := r.take(r.source(events.ScopeVitals), 3)
	check := func(what string, want time.Time) {
		t.Helper()
		if got := r.backlog(events.ScopeVitals).SavedUpTo; !got.Equal(want) {
			t.Errorf("%s: saved up to %s, want %s", what, got, want)
		}
	}
	at := func(i int) time.Time {
		meta, err := msgs[i].Metadata()
		r.must(err)
		return meta.Timestamp
	}

	check("nothing settled", at(0))
	r.ack(msgs[1])
	check("a later one settled", at(0))
	r.ack(msgs[0])
	check("the first two settled", at(2))

	r.ack(msgs[2])
	before := time.Now()
	if got := r.backlog(events.ScopeVitals).SavedUpTo; got.Before(before) || got.After(time.Now()) {
		t.Errorf("all settled: saved up to %s, want the time of asking", got)
	}
}

// An event that does not get through says nothing of those behind it, where savers have
// all of them. Where they have a backlog, it may be anything of that.
func TestWhatWaitsIsNotWhatIsStuck(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	since := func() time.Time {
		t.Helper()
		got, err := r.bus.WaitsSince(t.Context(), events.ScopeVitals)
		r.must(err)
		return got
	}
	r.publish(r.items(42), r.vitals(1), r.vitals(2), r.items(42))
	stuck := r.take(r.source(events.ScopeVitals), 2)
	before := time.Now()
	if got := since(); got.Before(before) {
		t.Errorf("all is handed out, and waits since %s", got)
	}
	r.ack(stuck[1])
	if got := since(); got.Before(before) {
		t.Errorf("one is settled, and waits since %s", got)
	}
	meta, err := stuck[1].Metadata()
	r.must(err)
	r.publish(r.vitals(3))
	if got := since(); !got.After(meta.Timestamp) || got.After(time.Now()) {
		t.Errorf("only the newest waits, since %s", got)
	}
}

// Many that are in hand, and none of which gets through, are what a database leaves that
// takes nothing: all of them wait.
func TestWhatIsInHandWaitsWhereNothingGetsThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	const many = 1100
	r.publish(slices.Repeat([]events.StateChanged{r.vitals(42)}, many)...)
	hand := r.take(r.source(events.ScopeVitals), many)
	oldest, err := hand[0].Metadata()
	r.must(err)
	got, err := r.bus.WaitsSince(t.Context(), events.ScopeVitals)
	r.must(err)
	if !got.Equal(oldest.Timestamp) {
		t.Errorf("nothing gets through, and waits since %s, want %s", got, oldest.Timestamp)
	}

	r.ack(hand[1])
	before := time.Now()
	got, err = r.bus.WaitsSince(t.Context(), events.ScopeVitals)
	r.must(err)
	if got.Before(before) {
		t.Errorf("one got through, and waits since %s", got)
	}
}
