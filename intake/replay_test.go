package intake_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// replayed takes what a replay hands out until nothing is left, and settles it.
func (r *rig) replayed(scope events.Scope, which intake.Replay) (sequences []uint64) {
	r.t.Helper()
	var source *intake.Source
	// For moments after a replay was closed, the server still removes its files.
	stacktest.Eventually(r.t, "a replay is open", func() (ok bool) {
		var err error
		source, err = r.intake.OpenReplay(r.t.Context(), scope, which)
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
		which intake.Replay
		want  []uint64
	}{
		"all":                {intake.Replay{}, []uint64{1, 3, 4, 5}},
		"sequence":           {intake.Replay{From: 3}, []uint64{3, 4, 5}},
		"time":               {intake.Replay{Since: third.Time}, []uint64{3, 4, 5}},
		"character":          {intake.Replay{Char: 1}, []uint64{1, 4, 5}},
		"character-and-time": {intake.Replay{Char: 1, Since: third.Time}, []uint64{4, 5}},
		"sequence-to-come":   {intake.Replay{From: 6}, nil},
		"time-to-come":       {intake.Replay{Since: time.Now().Add(time.Hour)}, nil},
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
	source, err := r.intake.OpenReplay(t.Context(), events.ScopeVitals, intake.Replay{})
	r.must(err)
	r.ack(r.take(source, 1)...)
	left, settled, err := source.Left(t.Context())
	r.must(err)
	equal(t, "left and settled", []uint64{left, settled}, []uint64{2, 1})

	equal(t, "sequences", r.replayed(events.ScopeVitals, intake.Replay{}), []uint64{2, 3})

	for range 2 { // twice is no error
		r.must(r.intake.CloseReplay(t.Context(), events.ScopeVitals, intake.Replay{}))
	}
	equal(t, "sequences", r.replayed(events.ScopeVitals, intake.Replay{}), []uint64{1, 2, 3})
}

// One that was stopped is gone on with for the events that it was about, and no others:
// those would be left out, and nobody would know.
func TestReplayDoesNotGoOnWithOtherLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.publish(r.vitals(1), r.vitals(2), r.vitals(1))
	noon := time.Now().Add(-time.Hour)
	all := map[string]intake.Replay{
		"none": {}, "--char 1": {Char: 1}, "--char 2": {Char: 2}, "--from-sequence 2": {From: 2},
		"--since " + noon.UTC().Format(time.RFC3339Nano): {Since: noon},
		"--until " + noon.UTC().Format(time.RFC3339Nano): {Until: noon},
		"--from-sequence 2 --char 1":                     {From: 2, Char: 1},
	}
	n := 0
	for had, stopped := range all {
		n++
		stopped.Name = strconv.Itoa(n)
		_, err := r.intake.OpenReplay(t.Context(), events.ScopeVitals, stopped)
		r.must(err)
		for has, now := range all {
			now.Name = stopped.Name

			_, err := r.intake.OpenReplay(t.Context(), events.ScopeVitals, now)

			if has == had {
				r.must(err)
			} else if !errors.Is(err, intake.ErrOtherReplay) || !strings.Contains(err.Error(), ": "+had+", and now "+has+";") {
				t.Errorf("%s after %s: got %v, want ErrOtherReplay that names both", has, had, err)
			}
			if checked := r.intake.CheckReplay(t.Context(), events.ScopeVitals, now); (checked == nil) != (err == nil) {
				t.Errorf("%s after %s: checked, %v", has, had, checked)
			}
		}
	}
}

// What an older build has left says what it is about by its filters, and not where it ends.
func TestReplayOfAnOlderBuildGoesOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.publish(r.vitals(1), r.vitals(2), r.vitals(1))
	for name, which := range map[string]intake.Replay{
		"all": {}, "char": {Char: 1}, "from": {From: 2}, "since": {Since: time.Now().Add(-time.Hour)},
	} {
		which.Name = name
		_, err := r.intake.OpenReplay(t.Context(), events.ScopeVitals, which)
		r.must(err)
		cfg := r.consumer(bus.StreamChanges, "replay-"+name+"-vitals").Config
		cfg.Metadata = nil
		_, err = r.js.UpdateConsumer(t.Context(), bus.StreamChanges, cfg)
		r.must(err)

		_, err = r.intake.OpenReplay(t.Context(), events.ScopeVitals, which)
		r.must(err)
		_, err = r.intake.OpenReplay(t.Context(), events.ScopeVitals, intake.Replay{Name: name, Char: 9})
		if !errors.Is(err, intake.ErrOtherReplay) {
			t.Errorf("%s: another character: got %v, want ErrOtherReplay", name, err)
		}
	}
}

// The savers of the day neither notice a replay nor wait for it.
func TestReplayLeavesTheSaversAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.publish(r.vitals(1), r.vitals(1))
	r.await(2, 0)
	r.ack(r.take(r.source(events.ScopeVitals), 1)...)
	source, err := r.intake.OpenReplay(t.Context(), events.ScopeVitals, intake.Replay{Name: "slow"})
	r.must(err)
	r.take(source, 2) // and keeps them

	for _, want := range []uint64{1, 2} {
		if last, settled, err := r.bus.Settled(t.Context()); last != 2 || settled != want || err != nil {
			t.Errorf("%d of %d are settled (%v), want %d of 2", settled, last, err, want)
		}
		if want == 1 {
			r.ack(r.take(r.source(events.ScopeVitals), 1)...)
		}
	}
}

// A replay has more than one subject where it is of one character.
func TestReplayOfOneCharacterSkipsNoEventOfABacklog(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.fill(1000)
	r.publish(slices.Repeat([]events.StateChanged{r.vitals(43)}, 100)...)

	source, err := r.intake.OpenReplay(t.Context(), events.ScopeVitals, intake.Replay{Char: 42})
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
