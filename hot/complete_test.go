package hot_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func (r *rig) note() (name string, complete bool) {
	r.t.Helper()
	name, complete, err := r.store.BeginNote(r.ctx)
	r.must(err)
	return name, complete
}

func (r *rig) wantComplete(when string, want bool) {
	r.t.Helper()
	complete, err := r.store.Complete(r.ctx)
	r.must(err)
	if complete != want {
		r.t.Errorf("%s: complete is %v", when, complete)
	}
}

// The note is made once, by whoever asks first, and is complete when it is said
// of it by its name.
func TestRunIsCompleteOnceItsNoteSaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t, stacktest.Redis(t))
	r.wantComplete("no note", false)
	name, complete := r.note()
	if again, _ := r.note(); again != name || name == "" || complete {
		t.Errorf("notes %q and %q, complete %v", name, again, complete)
	}
	r.wantComplete("begun", false)
	r.must(r.store.NoteComplete(r.ctx, "another"))
	r.wantComplete("said of another note", false)
	r.must(r.store.NoteComplete(r.ctx, name))
	r.wantComplete("said of this note", true)
	if again, complete := r.note(); again != name || !complete {
		t.Errorf("note %q, complete %v, want %q, complete", again, complete, name)
	}
}

// All is settled that the stream had stored at one moment since the note: the
// earliest that was asked, however much has come since.
func TestSettledIsMeasuredAtAnyMomentOfTheNote(t *testing.T) {
	t.Parallel()
	r := newRig(t, stacktest.Redis(t))
	name, _ := r.note()
	for _, ask := range []struct {
		last, settled uint64
		want          bool
	}{
		{10, 5, false},
		{20, 9, false},
		{30, 10, true}, // what the stream had at the first question
		{40, 9, false}, // a saver was set back
		{3, 2, false},  // the stream was lost and begins anew
		{50, 3, true},
	} {
		ready, err := r.store.NoteSettled(r.ctx, name, ask.last, ask.settled)
		r.must(err)
		if ready != ask.want {
			t.Errorf("newest %d, settled %d: %v", ask.last, ask.settled, ready)
		}
	}
	r.wantComplete("settled only", false)
	empty, err := r.store.NoteSettled(r.ctx, name, 0, 0)
	r.must(err)
	if !empty {
		t.Error("an empty stream has something to settle")
	}
	other, err := r.store.NoteSettled(r.ctx, "another", 10, 10)
	r.must(err)
	if other {
		t.Error("settled for a note that is not the one of this run")
	}
}

// What was found out under a note does not count after Redis was emptied or
// started again, whoever still knows its name.
func TestNoteDoesNotOutliveALoss(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T, r *rig, lose func()) {
		t.Helper()
		name, _ := r.note()
		r.must(r.store.NoteComplete(r.ctx, name))
		r.wantComplete("before", true)
		lose()
		r.wantComplete("after", false)
		late := func(when string) {
			t.Helper()
			ready, err := r.store.NoteSettled(r.ctx, name, 10, 10)
			r.must(err)
			r.must(r.store.NoteComplete(r.ctx, name))
			if ready {
				t.Errorf("%s: settled by the note of before", when)
			}
			r.wantComplete(when, false)
		}
		late("nobody has begun a new note")
		if again, complete := r.note(); again == name || complete {
			t.Errorf("note %q, complete %v, before %q", again, complete, name)
		}
		late("a new note has begun")
	}
	t.Run("emptied", func(t *testing.T) {
		r := newRig(t, stacktest.Redis(t))
		check(t, r, func() { r.must(r.flush()) })
	})
	t.Run("restart", func(t *testing.T) {
		server := stacktest.OwnRedis(t)
		r := newRig(t, server.URL())
		check(t, r, func() { restart(t, r, server) })
	})
}

// The servers of a cluster come and go one by one, so nothing is said of all.
func TestClusterIsNeverComplete(t *testing.T) {
	r := newClusterRig(t)
	name, complete := r.note()
	if name != "" || complete {
		t.Errorf("note %q, complete %v", name, complete)
	}
	r.wantComplete("a cluster", false)
}

// Who is to be brought in: those that Redis does not have, and those that nobody
// has verified in this run.
func TestUnverifiedAreThoseThatAreToBeJoined(t *testing.T) {
	check := func(t *testing.T, r *rig, want func(verified, blind, unknown events.CharID) []events.CharID) {
		t.Helper()
		verified, blind, unknown := r.character(), r.newcomer(), r.newcomer()
		r.must(r.store.CommitBlind(r.ctx, r.vitals(blind, 7), game.Request{}))
		expected := want(verified, blind, unknown)
		got, err := r.store.Unverified(r.ctx, []events.CharID{unknown, verified, blind})
		r.must(err)
		equal(t, "unverified", got, expected)
	}
	onBoth(t, func(t *testing.T, r *rig) {
		check(t, r, func(_, blind, unknown events.CharID) []events.CharID { return []events.CharID{unknown, blind} })
		none, err := r.store.Unverified(r.ctx, nil)
		if err != nil || len(none) != 0 {
			t.Errorf("of nobody: %v, %v", none, err)
		}
	})
	t.Run("restart", func(t *testing.T) {
		server := stacktest.OwnRedis(t)
		r := newRig(t, server.URL())
		check(t, r, func(verified, blind, unknown events.CharID) []events.CharID {
			restart(t, r, server)
			return []events.CharID{unknown, verified, blind}
		})
	})
}
