package savers_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// newPool opens a database of the test's own.
func newPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return openPool(t, stacktest.Database(t))
}

func openPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// rig is a stream, a database, and savers that come and go.
type rig struct {
	t      *testing.T
	bus    *bus.Bus
	intake *intake.Intake
	nc     *nats.Conn
	js     jetstream.JetStream
	pool   *pgxpool.Pool
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
	in := intake.New(b, quiet)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		in.Close(ctx)
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
	return &rig{t, b, in, nc, js, pool}
}

// start runs a worker until stop is called, which waits for it.
func (r *rig) start(saver savers.Saver, batch int) (stop func()) {
	r.t.Helper()
	return r.startFrom(func(s savers.Source) savers.Source { return s }, saver, batch)
}

// startFrom runs a worker whose source is disturbed.
func (r *rig) startFrom(disturbed func(savers.Source) savers.Source, saver savers.Saver, batch int) (stop func()) {
	r.t.Helper()
	worker := r.worker(saver)
	worker.Source, worker.BatchSize = disturbed(worker.Source), batch
	return r.run(worker)
}

// worker is one as start runs.
func (r *rig) worker(saver savers.Saver) *savers.Worker {
	r.t.Helper()
	source, err := r.intake.Source(r.t.Context(), saver.Scope())
	if err != nil {
		r.t.Fatal(err)
	}
	return &savers.Worker{
		Saver: saver, Source: source, DB: r.pool, Dead: r.bus, Log: quiet,
		AckWait: 2 * time.Second, Backoff: 5 * time.Millisecond, ShutdownTimeout: 5 * time.Second,
	}
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

// missing lists the characters whose rows are not at the newest version of a history.
func (r *rig) missing(history []events.StateChanged) (chars []events.CharID) {
	r.t.Helper()
	want := make(map[events.CharID]events.Version)
	for _, e := range history {
		want[e.CharID] = max(want[e.CharID], e.Version)
	}
	got := r.vitalsVersions()
	for char, version := range want {
		if got[char] != version {
			chars = append(chars, char)
		}
	}
	return chars
}

func (r *rig) wantVitals(history []events.StateChanged) {
	r.t.Helper()
	if chars := r.missing(history); len(chars) > 0 {
		r.t.Errorf("characters that are not saved as they were last: %v", chars)
	}
}

// savedAll waits until a history is saved.
func (r *rig) savedAll(what string, history []events.StateChanged) {
	r.t.Helper()
	stacktest.Eventually(r.t, what, func() bool { return len(r.missing(history)) == 0 })
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
