package bus_test

import (
	"slices"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// replayed takes what a replay hands out until nothing is left, and settles it.
func (r *rig) replayed(scope events.Scope, which bus.Replay) (sequences []uint64) {
	r.t.Helper()
	var source *bus.Source
	// For moments after a replay was closed, the server still removes its files.
	stacktest.Eventually(r.t, "a replay is open", func() (ok bool) {
		var err error
		source, err = r.bus.OpenReplay(r.t.Context(), scope, which)
		return err == nil
	})
	for {
		left, _, err := source.Left(r.t.Context())
		r.must(err)
		if left == 0 {
			slices.Sort(sequences) // what was handed out ahead comes again later
			return sequences
		}
		for _, msg := range r.fetch(source, 100) {
			sequences = append(sequences, sequence(r.t, msg))
			r.ack(msg)
		}
	}
}

func TestReplayHandsOutWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.publish(r.vitals(1), r.items(1), r.vitals(2))
	r.put("sync.vitals", "of anybody") // 4
	r.publish(r.vitals(1))
	r.ack(r.take(r.source(events.ScopeVitals), 4)...) // settled is no hindrance

	stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
	r.must(err)
	third, err := stream.GetMsg(t.Context(), 3)
	r.must(err)
	for name, c := range map[string]struct {
		which bus.Replay
		want  []uint64
	}{
		"all":                {bus.Replay{}, []uint64{1, 3, 4, 5}},
		"sequence":           {bus.Replay{From: 3}, []uint64{3, 4, 5}},
		"time":               {bus.Replay{Since: third.Time}, []uint64{3, 4, 5}},
		"character":          {bus.Replay{Char: 1}, []uint64{1, 4, 5}},
		"character-and-time": {bus.Replay{Char: 1, Since: third.Time}, []uint64{4, 5}},
		"sequence-to-come":   {bus.Replay{From: 6}, nil},
		"time-to-come":       {bus.Replay{Since: time.Now().Add(time.Hour)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c.which.Name = name
			equal(t, "sequences", r.replayed(events.ScopeVitals, c.which), c.want)
		})
	}
}

// A replay that was interrupted goes on where it stopped, until it is closed.
func TestReplayGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.publish(r.vitals(1), r.vitals(1), r.vitals(1))
	source, err := r.bus.OpenReplay(t.Context(), events.ScopeVitals, bus.Replay{})
	r.must(err)
	r.ack(r.take(source, 1)...)
	left, settled, err := source.Left(t.Context())
	r.must(err)
	equal(t, "left and settled", []uint64{left, settled}, []uint64{2, 1})

	equal(t, "sequences", r.replayed(events.ScopeVitals, bus.Replay{}), []uint64{2, 3})

	for range 2 { // twice is no error
		r.must(r.bus.CloseReplay(t.Context(), events.ScopeVitals, bus.Replay{}))
	}
	equal(t, "sequences", r.replayed(events.ScopeVitals, bus.Replay{}), []uint64{1, 2, 3})
}

// The savers of the day neither notice a replay nor wait for it.
func TestReplayLeavesTheSaversAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	sent := r.publish(r.vitals(1), r.vitals(1))
	r.await(2, 0)
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	source, err := r.bus.OpenReplay(t.Context(), events.ScopeVitals, bus.Replay{Name: "slow"})
	r.must(err)
	r.take(source, 2) // and keeps them

	r.tail(1, sent[1])
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	r.tail(1)
	if n, err := r.bus.LastSequence(t.Context()); err != nil || n != 2 {
		t.Errorf("last sequence %d (%v), want 2", n, err)
	}
}

// A replay has more than one subject where it is of one character.
func TestReplayOfABacklog(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.fill(1000)
	r.publish(slices.Repeat([]events.StateChanged{r.vitals(43)}, 100)...)

	source, err := r.bus.OpenReplay(t.Context(), events.ScopeVitals, bus.Replay{Char: 42})
	r.must(err)
	for last := uint64(0); last < 1000; {
		msgs := r.next(source, at)
		for _, seq := range sequences(t, msgs) {
			if seq > last+1 {
				t.Fatalf("event %d came after event %d", seq, last)
			}
			last = max(last, seq) // one may come again, where reading begins anew
		}
		r.ack(msgs...)
	}
	stacktest.Eventually(t, "all is settled", func() bool {
		left, _, err := source.Left(t.Context())
		return err == nil && left == 0
	})
}
