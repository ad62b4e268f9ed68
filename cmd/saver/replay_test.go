package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
)

// vitals publishes one event of each zone, of characters from 1 on.
func (r *rig) vitals(zones ...string) {
	r.t.Helper()
	for i, zone := range zones {
		version := events.Version(time.Now().Add(-time.Minute).UnixMicro() + int64(i))
		r.must(r.conns.bus.Publish(r.t.Context(), events.New(events.CharID(i+1), version, events.CauseAction, uuid.Nil,
			events.ScopeVitals, events.Vitals{HP: 80, Location: events.Location{Zone: zone}})))
	}
}

// replay runs one, and returns what it says and logs.
func (r *rig) replay(cmd replayCmd) (said, log string, err error) {
	r.t.Helper()
	out, errs := new(bytes.Buffer), new(bytes.Buffer)
	err = cmd.Run(r.t.Context(), r.cli, &output{Out: out, Err: errs})
	return out.String(), errs.String(), err
}

// rows is how many characters have vitals.
func (r *rig) rows() (n int) {
	r.t.Helper()
	r.must(r.conns.pool.QueryRow(r.t.Context(), "SELECT count(*) FROM character_vitals").Scan(&n))
	return n
}

// replays names the replays that were stopped.
func (r *rig) replays() (names []string) {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), bus.StreamChanges)
	r.must(err)
	lister := stream.ConsumerNames(r.t.Context())
	for name := range lister.Name() {
		if strings.HasPrefix(name, "replay-") {
			names = append(names, name)
		}
	}
	r.must(lister.Err())
	return names
}

// Whoever fills a database anew learns what it lacks, and reads nothing of dead letters
// that are not there.
func TestReplayFailsWhereTheDatabaseRefusesAnEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.vitals("harbor", "cursed", "harbor")
	_, err := r.js.Publish(t.Context(), "sync.vitals.9", []byte("garbage"))
	r.must(err)
	_, err = r.conns.pool.Exec(t.Context(), "ALTER TABLE character_vitals ADD CHECK (zone <> 'cursed')")
	r.must(err)

	said, log, err := r.replay(replayCmd{})

	if !errors.Is(err, errRefused) {
		t.Errorf("got %v, want errRefused", err)
	}
	for _, want := range []string{"1 could not be saved", "1 are no events"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in %q", want, said)
		}
	}
	if !strings.Contains(log, "event is not saved") || strings.Contains(log, "dead letters") {
		t.Errorf("log:\n%s", log)
	}
	if n, err := r.conns.bus.DeadLetters(t.Context(), events.ScopeVitals); err != nil || n > 0 {
		t.Errorf("%d dead letters, %v", n, err)
	}
	if n := r.rows(); n != 2 {
		t.Errorf("%d rows, want the 2 good ones", n)
	}
	if left := r.replays(); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// Who restores a copy that is older than the stream has to know what is lost.
func TestReplaySaysWhereTheStreamBegins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.vitals("harbor", "harbor")
	stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
	r.must(err)
	r.must(stream.Purge(t.Context(), jetstream.WithPurgeSequence(2)))
	second, err := stream.GetMsg(t.Context(), 2)
	r.must(err)

	said, _, err := r.replay(replayCmd{})
	r.must(err)
	if want := "the stream begins at " + second.Time.Format(time.RFC3339); !strings.Contains(said, want) {
		t.Errorf("%q is not in %q", want, said)
	}

	said, _, err = r.replay(replayCmd{Since: time.Now()})
	r.must(err)
	if strings.Contains(said, "begins") {
		t.Errorf("what is asked for is all there: %q", said)
	}
}

// It would save some events and say that it had saved all.
func TestReplayDoesNotGoOnWithOneOfOtherEvents(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.vitals("harbor", "harbor", "harbor")
	_, err := r.conns.intake.OpenReplay(t.Context(), events.ScopeVitals, intake.Replay{Name: "all", Char: 1}) // and stopped
	r.must(err)

	_, _, err = r.replay(replayCmd{Name: "all"})

	if !errors.Is(err, intake.ErrOtherReplay) {
		t.Errorf("got %v, want ErrOtherReplay", err)
	}
	if n, left := r.rows(), r.replays(); n > 0 || !slices.Equal(left, []string{"replay-all-vitals"}) {
		t.Errorf("%d rows are saved, and %v are stopped", n, left)
	}

	// Begun anew, it is about all.
	if _, _, err = r.replay(replayCmd{Name: "all", Fresh: true}); err != nil || r.rows() != 3 {
		t.Errorf("%v, %d rows, want 3", err, r.rows())
	}
}

// What ends in time is not gone on with as if it did not.
func TestReplayThatEndsInTimeIsNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.vitals("harbor")
	until := time.Now().Add(-time.Hour)
	_, err := r.conns.intake.OpenReplay(t.Context(), events.ScopeVitals, (&replay{name: "all", cmd: replayCmd{Until: until}}).spec())
	r.must(err)

	_, _, err = r.replay(replayCmd{Name: "all"})

	if !errors.Is(err, intake.ErrOtherReplay) {
		t.Errorf("got %v, want ErrOtherReplay", err)
	}
}

// One that has no name begins anew, whatever was stopped before it: PostgreSQL may have
// been replaced again meanwhile. It leaves nothing behind, and waits for no newer build.
func TestReplayWithoutANameBeginsAnew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.vitals("harbor", "harbor")
	_, err := r.js.Publish(t.Context(), "sync.vitals.9", []byte(`{"schema":9}`))
	r.must(err)
	for range 2 {
		said, _, err := r.replay(replayCmd{})
		if !errors.Is(err, errRefused) || r.rows() != 2 {
			t.Fatalf("%s: %v, %d rows, want 2", said, err, r.rows())
		}
		_, err = r.conns.pool.Exec(t.Context(), "DELETE FROM character_vitals")
		r.must(err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (replayCmd{}).Run(stopped, r.cli, &output{Out: io.Discard, Err: io.Discard}); err == nil {
		t.Error("one that was stopped has ended well")
	}
	if left := r.replays(); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// A character or a scope that there cannot be is no way to say all of them.
func TestFlagsRefuseWhatIsNone(t *testing.T) {
	t.Parallel()
	var c character
	for _, text := range []string{"0", "-1", "", "x"} {
		if c.UnmarshalText([]byte(text)) == nil {
			t.Errorf("--char %q is %d", text, c)
		}
	}
	var s stateScope
	for _, text := range []string{"", "nope", "cleanup"} {
		if s.UnmarshalText([]byte(text)) == nil {
			t.Errorf("--scope %q is %q", text, s)
		}
	}
	if c.UnmarshalText([]byte("42")) != nil || s.UnmarshalText([]byte("vitals")) != nil || c.id() != 42 || s.scope() != events.ScopeVitals {
		t.Errorf("%d, %s", c, s)
	}
}

// Of a backlog, savers keep no more of a message than its place.
func TestReplayOfABacklogTellsEventsFromWhatIsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	zones := slices.Repeat([]string{"harbor"}, 300)
	for i := 100; i < 300; i += 50 {
		zones[i] = "cursed"
	}
	r.vitals(zones...)
	_, err := r.conns.pool.Exec(t.Context(), "ALTER TABLE character_vitals ADD CHECK (zone <> 'cursed')")
	r.must(err)

	said, _, err := r.replay(replayCmd{Batch: 10})

	if !errors.Is(err, errRefused) || strings.Contains(said, "no events") {
		t.Errorf("%v: %s", err, said)
	}
	if n := r.rows(); n != 296 {
		t.Errorf("%d rows, want the 296 good ones", n)
	}
}
