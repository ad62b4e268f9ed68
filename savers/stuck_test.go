package savers_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

// startImpatient runs a worker whose transactions may not take long.
func (r *rig) startImpatient(timeout time.Duration) (stop func()) {
	r.t.Helper()
	worker := r.worker(savers.VitalsStateSaver{})
	worker.SaveTimeout = timeout
	return r.run(worker)
}

// execAll executes statements, once more where the pool gives a connection that has ended.
func execAll(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	stacktest.Eventually(t, "the statements are executed", func() bool {
		_, err := pool.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		return err == nil
	})
}

// lock keeps a character's row from everybody until it is let go of.
func (r *rig) lock(char events.CharID) (release func()) {
	r.t.Helper()
	tx, err := r.pool.BeginTx(r.t.Context(), pgx.TxOptions{})
	if err == nil {
		_, err = tx.Exec(r.t.Context(), "SELECT FROM character_vitals WHERE char_id = $1 FOR UPDATE", int64(char))
	}
	if err != nil {
		r.t.Fatal(err)
	}
	release = sync.OnceFunc(func() { _ = tx.Rollback(context.Background()) })
	r.t.Cleanup(release)
	return release
}

// roomForLetters lets the dead letters take so many bytes.
func (r *rig) roomForLetters(bytes int64) {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), bus.StreamDead)
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxBytes = bytes
	if _, err := r.js.UpdateStream(r.t.Context(), cfg); err != nil {
		r.t.Fatal(err)
	}
}

// mostPending lets a saver of vitals have so many messages in hand.
func (r *rig) mostPending(n int) {
	r.t.Helper()
	consumer, err := r.js.Consumer(r.t.Context(), bus.StreamChanges, "saver-vitals")
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := consumer.CachedInfo().Config
	cfg.MaxAckPending = n
	if _, err := r.js.UpdateConsumer(r.t.Context(), bus.StreamChanges, cfg); err != nil {
		r.t.Fatal(err)
	}
}

// flood publishes the same body so many times.
func (r *rig) flood(subject, body string, n int) {
	r.t.Helper()
	for range n {
		if _, err := r.js.PublishAsync(subject, []byte(body)); err != nil {
			r.t.Fatal(err)
		}
	}
	<-r.js.PublishAsyncComplete()
}

// A row that somebody has locked, as in a forgotten session, holds up its character and
// nobody else: what comes before and after it is saved, by one saver and by two. When it
// is let go of, the character is saved, too, and no event was taken for a bad one.
func TestLockedRowHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2} {
		r := newRig(t, newPool(t))
		history := liveVitals(300, 3)
		first, more, last := history[:300], history[300:600], history[600:]
		locked := func(e events.StateChanged) bool { return e.CharID == 1 }
		r.publishAll(first)
		for range n {
			r.startImpatient(time.Second)
		}
		r.settled(events.ScopeVitals)
		release := r.lock(1)

		r.publishAll(more)
		r.savedAll("all others are saved", slices.DeleteFunc(slices.Clone(more), locked))
		r.publishAll(last)
		r.savedAll("and what comes then", slices.DeleteFunc(slices.Clone(last), locked))
		if got := r.vitalsVersions()[1]; got != first[0].Version {
			t.Fatalf("the locked row is at %d: it was not locked", got)
		}
		release()
		r.savedAll("the character is saved when its row is let go of", history)
		r.settled(events.ScopeVitals)
		if letters := r.letters(); len(letters) > 0 {
			t.Errorf("%d savers: dead letters %v", n, letters)
		}
	}
}

// A backlog of a character whose row is locked waits where it holds up nobody, however
// long it is.
func TestBacklogOfALockedRowHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	others := liveVitals(50, 1)[1:]
	r.publishAll(liveVitals(1, 1))
	r.startImpatient(time.Second)
	r.settled(events.ScopeVitals)
	release := r.lock(1)
	own := liveVitals(1, 3000)
	r.publishAll(own)
	r.publishAll(others)

	r.savedAll("the others are saved", others)
	release()
	r.savedAll("the character is saved when its row is let go of", own)
	r.settled(events.ScopeVitals)
}

// Events that end the process of the server that stores them, as where it runs out of
// memory, hold up nobody else, and are saved when the server can.
func TestEventThatEndsItsBackendHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	execAll(t, r.pool, `
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW;
		END $$;
		CREATE TRIGGER die BEFORE INSERT OR UPDATE ON character_vitals
			FOR EACH ROW WHEN (NEW.char_id = 7) EXECUTE FUNCTION die();`)
	history := liveVitals(100, 2)
	r.publishAll(history)
	r.startImpatient(time.Second)

	r.savedAll("all others are saved", slices.DeleteFunc(slices.Clone(history), func(e events.StateChanged) bool { return e.CharID == 7 }))
	execAll(t, r.pool, `DROP TRIGGER die ON character_vitals`)
	r.savedAll("the character is saved when the server can", history)
	r.settled(events.ScopeVitals)
	if letters := r.letters(); len(letters) > 0 {
		t.Errorf("dead letters %v", letters)
	}
}

// Where a transaction of all that waits takes longer than the server allows, smaller
// ones save it.
func TestBatchThatTakesTooLongIsSavedInParts(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	history := liveVitals(1000, 1)
	for _, sql := range []string{
		`CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.001); RETURN NEW; END $$`,
		`CREATE TRIGGER linger BEFORE INSERT ON character_vitals FOR EACH ROW EXECUTE FUNCTION linger()`,
		`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET statement_timeout = ''200ms''', current_database()); END $$`,
	} {
		if _, err := r.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	r.pool.Reset() // a new session has the new timeout
	r.publishAll(history)
	r.start(savers.VitalsStateSaver{}, 0)

	r.savedAll("all is saved", history)
	r.settled(events.ScopeVitals)
	if letters := r.letters(); len(letters) > 0 {
		t.Errorf("dead letters %v", letters)
	}
}

// Where the dead letters are full, an event that cannot be saved holds up nobody, and
// is kept when there is room.
func TestBadEventWithoutRoomForItHoldsUpNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	curse(t, r)
	r.roomForLetters(100)
	history := liveVitals(300, 1)
	bad := soupEvent(events.ScopeVitals, 5000, history[0].Version, 1, "cursed")
	r.publish(events.Subject(bad.Scope, bad.CharID), encode(t, &bad))
	r.publishAll(history[:150])
	r.start(savers.VitalsStateSaver{}, 0)

	r.savedAll("what came with it is saved", history[:150])
	r.publishAll(history[150:])
	r.savedAll("and what comes then", history)
	if n := len(r.letters()); n > 0 {
		t.Fatalf("%d dead letters: there was room", n)
	}
	r.roomForLetters(1 << 20)
	stacktest.Eventually(t, "the bad one is kept", func() bool { return len(r.letters()) == 1 })
	r.settled(events.ScopeVitals)
}

// Events of a newer build wait for a newer saver, but not so many that the server hands
// out nothing more: those go to the dead letters.
func TestManyNewerEventsHoldUpNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	const most = 1200 // waiting, of one consumer
	r.mostPending(most)
	history := liveVitals(50, 1)
	r.flood("sync.vitals.9", `{"schema":9}`, most+200)
	r.publishAll(history)
	r.startFrom(func(s savers.Source) savers.Source {
		s.(*intake.Source).AckEach = true
		return s
	}, savers.VitalsStateSaver{}, 0)

	r.savedAll("the others are saved", history)
	for _, reason := range r.letters() {
		if !strings.Contains(reason, events.ErrSchemaNewer.Error()) {
			t.Errorf("dead letter: %s", reason)
		}
	}
}

// While an event of a backlog does not get through, the others are saved, and not again
// and again.
func TestEventThatWaitsHasOthersSavedAgainSeldom(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	history := liveVitals(200, 100)
	r.publish("sync.vitals.9", []byte(`{"schema":9}`))
	r.publishAll(history)
	var saved atomic.Int64
	r.start(saverFunc(func(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
		saved.Add(int64(len(batch)))
		return savers.VitalsStateSaver{}.Save(ctx, tx, batch)
	}), 100)

	stacktest.Eventually(t, "the others are settled", func() bool {
		backlog, err := r.bus.Backlog(t.Context(), events.ScopeVitals)
		return err == nil && backlog.Unsaved() == 1
	})
	r.wantVitals(history)
	if n := saved.Load(); n > 3*int64(len(history)) {
		t.Errorf("%d events are saved %d times", len(history), n)
	}
}

// Where the dead letters are full, bad events wait, but not so many that the server hands
// out nothing more.
func TestManyBadEventsWithoutRoomHoldUpNobody(t *testing.T) {
	t.Parallel()
	for _, each := range []bool{true, false} {
		r := newRig(t, newPool(t))
		const most = 1200 // waiting, of one consumer
		r.mostPending(most)
		r.roomForLetters(100)
		history := liveVitals(50, 1)
		r.flood("sync.vitals.9", "no event", most+200)
		r.publishAll(history)
		r.startFrom(func(s savers.Source) savers.Source {
			s.(*intake.Source).AckEach = each
			return s
		}, savers.VitalsStateSaver{}, 0)

		r.savedAll("the others are saved", history)
	}
}

// A PostgreSQL of which each commit takes longer than the smallest part of a batch may is
// slow, and saves all.
func TestSlowCommitsGetThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	for _, sql := range []string{
		`CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1.1); RETURN NULL; END $$`,
		`CREATE TRIGGER linger AFTER INSERT ON character_vitals FOR EACH STATEMENT EXECUTE FUNCTION linger()`,
		// The first whole batch does not get through, so that it is divided.
		`CREATE SEQUENCE tries`,
		`CREATE FUNCTION refuse_first() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('tries') = 1 THEN RAISE SQLSTATE '57014'; END IF; RETURN NULL; END $$`,
		`CREATE TRIGGER refuse_first AFTER INSERT ON character_vitals FOR EACH STATEMENT EXECUTE FUNCTION refuse_first()`,
	} {
		if _, err := r.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	history := liveVitals(3, 1)
	r.publishAll(history)
	r.startImpatient(1500 * time.Millisecond)

	r.savedAll("all is saved", history)
	r.settled(events.ScopeVitals)
}
