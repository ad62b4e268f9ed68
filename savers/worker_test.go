package savers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

// rig is a stream, a database, and savers that come and go.
type rig struct {
	t    *testing.T
	bus  *bus.Bus
	nc   *nats.Conn
	js   jetstream.JetStream
	pool *pgxpool.Pool
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func newRig(t *testing.T, pool *pgxpool.Pool) *rig {
	t.Helper()
	server := stacktest.NATS(t)
	b, err := bus.Connect(server.URL(), t.Name(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		b.Close(ctx)
		nc.Close()
	})
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Ensure(t.Context(), bus.Topology{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	return &rig{t, b, nc, js, pool}
}

// start runs a worker until stop is called, which waits for it.
func (r *rig) start(saver savers.Saver, batch int) (stop func()) {
	r.t.Helper()
	return r.startFrom(func(s savers.Source) savers.Source { return s }, saver, batch)
}

// startFrom runs a worker whose source is disturbed.
func (r *rig) startFrom(disturbed func(savers.Source) savers.Source, saver savers.Saver, batch int) (stop func()) {
	r.t.Helper()
	source, err := r.bus.Source(r.t.Context(), saver.Scope())
	if err != nil {
		r.t.Fatal(err)
	}
	return r.run(&savers.Worker{
		Saver: saver, Source: disturbed(source), DB: r.pool, Dead: r.bus, Log: quiet,
		BatchSize: batch, AckWait: 2 * time.Second, Backoff: 5 * time.Millisecond, ShutdownTimeout: 5 * time.Second,
	})
}

// run runs a worker until stop is called, which waits for it.
func (r *rig) run(worker *savers.Worker) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("worker: %v", err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

// publish sends bodies as somebody else's program would.
func (r *rig) publish(subject string, body []byte) {
	r.t.Helper()
	if _, err := r.js.Publish(r.t.Context(), subject, body); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) publishAll(history []events.StateChanged) {
	r.t.Helper()
	for i := range history {
		r.publish(events.Subject(history[i].Scope, history[i].CharID), encode(r.t, &history[i]))
	}
}

func encode(t *testing.T, e *events.StateChanged) []byte {
	t.Helper()
	body, err := events.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// settled waits until every event of the scope is acknowledged or buried.
func (r *rig) settled(scope events.Scope) {
	r.t.Helper()
	stacktest.Eventually(r.t, "all "+string(scope)+" events settled", func() bool {
		backlog, err := r.bus.Backlog(r.t.Context(), scope)
		return err == nil && backlog.Unsaved() == 0
	})
}

// letters returns the reasons of the dead letters by body.
func (r *rig) letters() map[string]string {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), bus.StreamDead)
	if err != nil {
		r.t.Fatal(err)
	}
	reasons := make(map[string]string)
	last := stream.CachedInfo().State.LastSeq
	for seq := uint64(1); seq <= last; seq++ {
		msg, err := stream.GetMsg(r.t.Context(), seq)
		if err != nil {
			r.t.Fatal(err)
		}
		reasons[string(msg.Data)] = msg.Header.Get(bus.HeaderReason)
	}
	return reasons
}

func (r *rig) vitalsVersions() map[events.CharID]events.Version {
	r.t.Helper()
	rows, err := r.pool.Query(r.t.Context(), "SELECT char_id, version FROM character_vitals")
	if err != nil {
		r.t.Fatal(err)
	}
	out := make(map[events.CharID]events.Version)
	var char, version int64
	if _, err := pgx.ForEachRow(rows, []any{&char, &version}, func() error {
		out[events.CharID(char)] = events.Version(version)
		return nil
	}); err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) wantVitals(history []events.StateChanged) {
	r.t.Helper()
	want := make(map[events.CharID]events.Version)
	for _, e := range history {
		want[e.CharID] = max(want[e.CharID], e.Version)
	}
	got := r.vitalsVersions()
	for char, version := range want {
		if got[char] != version {
			r.t.Errorf("character %d is saved at version %d, want %d", char, got[char], version)
		}
	}
}

// liveVitals is a history of versions that are not far ahead of the clock.
func liveVitals(chars, each int) (history []events.StateChanged) {
	base := events.Version(time.Now().Add(-time.Minute).UnixMicro())
	for n := range each {
		for c := range chars {
			v := base + events.Version(n*chars+c)
			history = append(history, events.New(events.CharID(c+1), v, events.CauseAction, uuid.Nil, events.ScopeVitals,
				events.Vitals{HP: int32(n), Location: events.Location{Zone: "z"}}))
		}
	}
	return history
}

// An external publisher knows only the contract. Its events come shuffled,
// doubled, on both forms of the subject, with garbage among them, while two
// savers work, then four, then one.
func TestExternalPublisherIsSavedAndItsGarbageBuried(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	history := liveVitals(40, 25)
	random := rand.New(rand.NewPCG(7, 7))
	garbage := garbageVitals(t, &history[0])

	var messages []message
	for i := range history {
		body := encode(t, &history[i])
		messages = append(messages, message{"sync.vitals", body}, message{events.Subject(events.ScopeVitals, history[i].CharID), body})
	}
	for body := range garbage {
		messages = append(messages, message{"sync.vitals.1", []byte(body)})
	}
	random.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })

	stops := []func(){r.start(savers.VitalsStateSaver{}, 50), r.start(savers.VitalsStateSaver{}, 50)}
	for i, m := range messages {
		r.publish(m.subject, m.body)
		switch i {
		case len(messages) / 3:
			stops = append(stops, r.start(savers.VitalsStateSaver{}, 7), r.start(savers.VitalsStateSaver{}, 200))
		case 2 * len(messages) / 3:
			for _, stop := range stops[:3] {
				stop()
			}
		}
	}
	r.settled(events.ScopeVitals)

	r.wantVitals(history)
	letters := r.letters()
	for body, reason := range garbage {
		if !strings.Contains(letters[body], reason) {
			t.Errorf("dead letter of %.60q: reason %q, want it to contain %q", body, letters[body], reason)
		}
	}
	if len(letters) != len(garbage) {
		t.Errorf("%d dead letters, want %d", len(letters), len(garbage))
	}
}

// garbageVitals maps bodies that are no good to what their reason must contain.
func garbageVitals(t *testing.T, good *events.StateChanged) map[string]string {
	body := string(encode(t, good))
	change := func(old, now string) string {
		if !strings.Contains(body, old) {
			t.Fatalf("no %s in %s", old, body)
		}
		return strings.Replace(body, old, now, 1)
	}
	ahead := events.New(1, events.Version(time.Now().Add(time.Hour).UnixMicro()), events.CauseAction, uuid.Nil, events.ScopeVitals, good.Data)
	other := events.New(2, good.Version, events.CauseAction, uuid.Nil, events.ScopeVitals, good.Data)
	return map[string]string{
		"":                                  "not valid JSON",
		"{":                                 "not valid JSON",
		"\xff\xfe":                          "not UTF-8",
		change(`"hp":0`, `"hp":-1`):         "data.hp",
		change(`"hp":0`, `"hp":0,"mana":1`): "data.mana: unknown field",
		change(`"hp":0,`, ``):               "data.hp: field is missing",
		change(`"scope":"vitals"`, `"scope":"x"`): "scope",
		change(`"char_id":1`, `"char_id":0`):      "char_id",
		change(`"zone":"z"`, `"zone":"\u0000"`):   "data.location.zone",
		change(`"x":0`, `"x":1e999`):              "data.location.x",
		string(encode(t, &ahead)):                 "5 minutes ahead",
		string(encode(t, &other)):                 "char_id",
		body + "x":                                "something follows",
		change(`"schema":1`, `"schema":0`):        "schema",
	}
}

// saverFunc is a saver of vitals with something wrong.
type saverFunc func(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error

func (saverFunc) Scope() events.Scope { return events.ScopeVitals }

func (f saverFunc) Save(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
	return f(ctx, tx, batch)
}

// poisoned fails for one character in a given way, and saves the others.
func poisoned(char events.CharID, fail func(tx pgx.Tx) error) saverFunc {
	return func(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
		if slices.ContainsFunc(batch, func(e events.StateChanged) bool { return e.CharID == char }) {
			if err := fail(tx); err != nil {
				return err
			}
		}
		return savers.VitalsStateSaver{}.Save(ctx, tx, batch)
	}
}

// One event that cannot be saved among a batch of good ones is found, buried
// with its reason, and the others are saved.
func TestPoisonIsIsolatedAndTheRestSaved(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(tx pgx.Tx) error{
		"says so itself": func(pgx.Tx) error { return savers.BadEvent(errors.New("poison")) },
		"violates a constraint": func(tx pgx.Tx) error {
			return exec(tx, "INSERT INTO character_vitals VALUES (-1, 1, 1, 1, 'poison', 0, 0)")
		},
		"violates a type": func(tx pgx.Tx) error { return exec(tx, "SELECT 'poison'::integer") },
		"is unknown":      func(pgx.Tx) error { return errors.New("poison of an unknown kind") },
		"panics":          func(pgx.Tx) error { panic("poison") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, newPool(t))
			history := liveVitals(64, 1)
			r.publishAll(history)
			r.start(poisoned(42, fail), 64)
			r.settled(events.ScopeVitals)

			letters := r.letters()
			if len(letters) != 1 || letters[string(encode(t, &history[41]))] == "" {
				t.Errorf("dead letters: %v", letters)
			}
			if got := len(r.vitalsVersions()); got != 63 {
				t.Errorf("%d characters saved, want 63", got)
			}
		})
	}
}

func exec(tx pgx.Tx, sql string) error {
	_, err := tx.Exec(context.Background(), sql)
	return err
}

// An outage of the database is nobody's fault: nothing is buried, and the same
// batch is saved when the database is back.
func TestOutageBuriesNothing(t *testing.T) {
	t.Parallel()
	server := stacktest.OwnPostgres(t)
	r := newRig(t, openPool(t, server.URL()))
	history := liveVitals(20, 5)
	r.start(savers.VitalsStateSaver{}, 10)
	r.publishAll(history[:50])
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	r.publishAll(history[50:])
	backlog, err := r.bus.Backlog(t.Context(), events.ScopeVitals)
	if err != nil || backlog.Unsaved() == 0 {
		t.Fatalf("backlog %+v, %v: the events of the outage cannot be saved", backlog, err)
	}
	stacktest.RestartPostgres(t, server.Config())
	r.settled(events.ScopeVitals)
	r.wantVitals(history)
	if letters := r.letters(); len(letters) != 0 {
		t.Errorf("dead letters: %v", letters)
	}
}

// flaky fails some transactions.
type flaky struct {
	savers.DB
	n    atomic.Int64
	fail func(n int64) error
}

type failed struct {
	pgx.BatchResults
	err error
}

func (f failed) Close() error { return f.err }

func (f *flaky) SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults {
	if err := f.fail(f.n.Add(1)); err != nil {
		return failed{err: err}
	}
	return f.DB.SendBatch(ctx, b)
}

// An unknown error that is met once is no reason to bury a good event, however often the
// server was away before.
func TestUnknownErrorAfterAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	history := liveVitals(1, 1)
	r.publishAll(history)
	source, err := r.bus.Source(t.Context(), events.ScopeVitals)
	if err != nil {
		t.Fatal(err)
	}
	db := &flaky{DB: r.pool, fail: func(n int64) error {
		switch {
		case n <= 5:
			return &pgconn.PgError{Code: "57P03", Message: "the database system is starting up"}
		case n == 6:
			return &pgconn.PgError{Code: "XX000", Message: "could not find tuple for attribute"}
		}
		return nil
	}}
	r.run(&savers.Worker{
		Saver: savers.VitalsStateSaver{}, Source: source, DB: db, Dead: r.bus, Log: quiet,
		AckWait: 2 * time.Second, Backoff: 5 * time.Millisecond, ShutdownTimeout: 5 * time.Second,
	})
	r.settled(events.ScopeVitals)
	for _, reason := range r.letters() {
		t.Errorf("a good event is a dead letter after one unknown error: %s", reason)
	}
	r.wantVitals(history)
}

// A worker that is told to stop commits and acknowledges what it has in hand, and
// gives back what it has only decoded, at once: nothing waits for AckWait.
func TestStopFinishesTheBatchInHand(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	// So few are no backlog, of which what is given back brings others with it.
	const batch = 20
	history := liveVitals(30, 1)
	r.publishAll(history)

	saving, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	var hand, again atomic.Int64
	stop := r.start(saverFunc(func(ctx context.Context, tx pgx.Tx, part []events.StateChanged) error {
		hand.Add(int64(len(part)))
		once.Do(func() { close(saving) })
		<-release
		return savers.VitalsStateSaver{}.Save(ctx, tx, part)
	}), batch)
	<-saving
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(release)
	<-stopped

	if got := len(r.vitalsVersions()); got != int(hand.Load()) {
		t.Errorf("%d rows after the stop, want the %d in hand", got, hand.Load())
	}
	r.start(saverFunc(func(ctx context.Context, tx pgx.Tx, part []events.StateChanged) error {
		again.Add(int64(len(part)))
		return savers.VitalsStateSaver{}.Save(ctx, tx, part)
	}), batch)
	r.settled(events.ScopeVitals)
	r.wantVitals(history)
	if got, want := int(again.Load()), len(history)-int(hand.Load()); got != want {
		t.Errorf("%d events came again, want the %d that were not in hand", got, want)
	}
}

// marksFunc is told what is saved.
type marksFunc func(ctx context.Context, batch []events.StateChanged) error

func (f marksFunc) Saved(ctx context.Context, batch []events.StateChanged) error {
	return f(ctx, batch)
}

// While those who wait for a save are told of it, which takes as long as Redis
// does, the next one commits. A worker that stops has told of all that it has saved.
func TestNextSaveDoesNotWaitForWhatFollowsTheLast(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	source, err := r.bus.Source(t.Context(), events.ScopeVitals)
	if err != nil {
		t.Fatal(err)
	}
	history := liveVitals(2, 1)
	release := make(chan struct{})
	var told atomic.Int64
	worker := &savers.Worker{
		Saver: savers.VitalsStateSaver{}, Source: source, DB: r.pool, Dead: r.bus, Log: quiet, Lanes: 1,
		Marks: marksFunc(func(_ context.Context, batch []events.StateChanged) error {
			<-release
			told.Add(int64(len(batch)))
			return nil
		}),
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()

	for i := range history {
		r.publishAll(history[i : i+1])
		stacktest.Eventually(t, "the save", func() bool { return len(r.vitalsVersions()) == i+1 })
	}

	r.settled(events.ScopeVitals)
	stop()
	close(release)
	if err := <-done; err != nil || told.Load() != int64(len(history)) {
		t.Errorf("%d of %d saves were told of when the worker ended (%v)", told.Load(), len(history), err)
	}
}

// An event of a newer schema is good: it waits for a saver that can read it.
func TestEventOfNewerSchemaIsNotBuriedAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	history := liveVitals(2, 1)
	newer := strings.Replace(string(encode(t, &history[0])), `"schema":1`, `"schema":2,"extra":true`, 1)
	r.publish("sync.vitals.1", []byte(newer))
	r.publishAll(history[1:])
	r.start(savers.VitalsStateSaver{}, 10)
	stacktest.Eventually(t, "the good event is saved", func() bool { return len(r.vitalsVersions()) == 1 })
	backlog, err := r.bus.Backlog(t.Context(), events.ScopeVitals)
	if err != nil || backlog.Unsaved() != 1 {
		t.Errorf("backlog %+v, %v: the newer event must stay in the stream", backlog, err)
	}
	if letters := r.letters(); len(letters) != 0 {
		t.Errorf("dead letters: %v", letters)
	}
}

func TestKindOfErrors(t *testing.T) {
	pool := newPool(t)
	ask := func(sql string) error { _, err := pool.Exec(t.Context(), sql); return err }
	closed, err := pgxpool.New(t.Context(), "postgres://127.0.0.1:1/none?connect_timeout=1")
	if err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	for _, c := range []struct {
		name string
		err  error
		want savers.Kind
	}{
		{"check", ask("INSERT INTO items VALUES (0, 'x', 1, 1)"), savers.KindBad},
		{"not a number", ask("SELECT 'x'::integer"), savers.KindBad},
		{"character that text cannot hold", ask(`SELECT ('"\u0000"'::jsonb)->>0`), savers.KindBad},
		{"missing table", ask("SELECT * FROM none_such"), savers.KindTransient},
		{"read-only", ask("BEGIN READ ONLY; INSERT INTO items VALUES (1, 'x', 1, 1); COMMIT"), savers.KindTransient},
		{"deadlock", ask("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$"), savers.KindTransient},
		{"no server", closed.Ping(t.Context()), savers.KindTransient},
		{"deadline", fmt.Errorf("save: %w", context.DeadlineExceeded), savers.KindStuck},
		{"statement timeout", ask("SET LOCAL statement_timeout = 1; SELECT pg_sleep(10)"), savers.KindStuck},
		{"block that cannot be read", ask("DO $$ BEGIN RAISE SQLSTATE 'XX001'; END $$"), savers.KindStuck},
		{"status of a transaction that cannot be read", ask("DO $$ BEGIN RAISE SQLSTATE '58P01'; END $$"), savers.KindStuck},
		{"index that cannot be read", ask("DO $$ BEGIN RAISE SQLSTATE 'XX002'; END $$"), savers.KindStuck},
		{"limit of a statement", ask("DO $$ BEGIN RAISE SQLSTATE '54000'; END $$"), savers.KindBad},
		{"no numbers for transactions", &pgconn.PgError{Code: "54000", Routine: "GetNewTransactionId"}, savers.KindTransient},
		{"internal error", ask("DO $$ BEGIN RAISE SQLSTATE 'XX000'; END $$"), savers.KindBug},
		{"a trigger's refusal", ask("DO $$ BEGIN RAISE EXCEPTION 'cursed'; END $$"), savers.KindBad},
		{"bad event", fmt.Errorf("save: %w", savers.BadEvent(errors.New("x"))), savers.KindBad},
		{"field", &events.FieldError{Field: "hp", Err: events.ErrQuantity}, savers.KindBad},
		{"anything else", errors.New("index out of range"), savers.KindBug},
	} {
		if got := savers.KindOf(c.err); got != c.want {
			t.Errorf("%s: %v is a %v, want %v", c.name, c.err, got, c.want)
		}
	}
}
