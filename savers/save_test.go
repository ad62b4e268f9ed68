package savers_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

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
	worker := r.worker(savers.VitalsStateSaver{})
	worker.DB = &flaky{DB: r.pool, fail: func(n int64) error {
		switch {
		case n <= 5:
			return &pgconn.PgError{Code: "57P03", Message: "the database system is starting up"}
		case n == 6:
			return &pgconn.PgError{Code: "XX000", Message: "could not find tuple for attribute"}
		}
		return nil
	}}
	r.run(worker)
	r.settled(events.ScopeVitals)
	for _, reason := range r.letters() {
		t.Errorf("a good event is a dead letter after one unknown error: %s", reason)
	}
	r.wantVitals(history)
}
