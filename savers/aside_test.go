package savers

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// locks is a database in which some characters' rows are locked, and a saver for it.
// Nothing is waited for: it counts what each transaction that is stuck was allowed.
type locks struct {
	DB
	locked func(events.CharID) bool
	took   time.Duration
	tries  int
	saved  map[events.CharID]bool
}

func (*locks) Scope() events.Scope                                      { return events.ScopeVitals }
func (l *locks) BeginTx(context.Context, pgx.TxOptions) (pgx.Tx, error) { return noTx{}, nil }
func (noTx) Rollback(context.Context) error                             { return nil }
func (noTx) Commit(context.Context) error                               { return nil }

func (l *locks) Save(ctx context.Context, _ pgx.Tx, batch []events.StateChanged) error {
	for _, e := range batch {
		if l.locked(e.CharID) {
			until, _ := ctx.Deadline()
			l.took += time.Until(until)
			l.tries++
			return &pgconn.PgError{Code: "57014"}
		}
	}
	for _, e := range batch {
		l.saved[e.CharID] = true
	}
	return nil
}

type noTx struct{ pgx.Tx }

// returned is a message that is put among others when it is given back.
type returned struct {
	jetstream.Msg
	e  events.StateChanged
	to *batch
}

func (m *returned) Ack() error { return nil }

func (m *returned) NakWithDelay(time.Duration) error {
	m.to.add(&m.e, m, 0)
	return nil
}

// However many rows are locked among a thousand, a batch is soon over, and nobody waits
// long beside them: neither where nobody is set aside, nor for those who are.
func TestManyLockedRowsHoldUpNobodyForLong(t *testing.T) {
	const chars = 1000
	for _, c := range []struct {
		locked      events.CharID
		first, last time.Duration // for those that come, and for all others that are not locked
	}{
		{0, 0, 0}, {1, 21 * time.Second, 21 * time.Second}, {10, 65 * time.Second, 65 * time.Second},
		{100, 75 * time.Second, 3 * time.Minute}, {500, 75 * time.Second, 3 * time.Minute}, {chars, 75 * time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) { // for a clock that stands still
			locked := func(char events.CharID) bool { return char*617%chars < c.locked } // anywhere
			l := &locks{locked: locked, saved: make(map[events.CharID]bool)}
			w := (&Worker{Saver: l, DB: l, Log: slog.New(slog.DiscardHandler)}).withDefaults()
			saved := make(chan *batch, 2*chars)
			first, last := w.newLane(0, nil, saved), w.newLane(w.asideLane(), nil, saved)
			first.random, last.random = rand.New(rand.NewPCG(9, 10)), rand.New(rand.NewPCG(11, 12))
			b, back := new(batch), new(batch)
			for char := range events.CharID(chars) {
				e := events.StateChanged{CharID: char, Version: 1}
				b.add(&e, &returned{e: e, to: back}, 0)
			}
			first.saveInHand(t.Context(), b)
			t.Logf("%d locked: %d transactions are stuck, for %s; %d are saved", c.locked, l.tries, l.took, len(l.saved))
			if l.took > c.first {
				t.Errorf("%d locked hold up their lane for %s", c.locked, l.took)
			}
			if len(l.saved)+len(back.events) != chars {
				t.Errorf("%d locked: %d are saved and %d given back, of %d", c.locked, len(l.saved), len(back.events), chars)
			}
			before := l.took
			for i := range back.events {
				if !w.aside.has(back.events[i].CharID) {
					t.Fatalf("%d is given back, and not set aside", back.events[i].CharID)
				}
			}
			for rounds := 0; len(l.saved) < chars-int(c.locked) && rounds < 1000; rounds++ {
				again := *back
				*back = batch{}
				last.saveInHand(t.Context(), &again)
			}
			t.Logf("%d locked: all others are saved after %s more", c.locked, l.took-before)
			if len(l.saved) != chars-int(c.locked) || c.last > 0 && l.took > c.last {
				t.Errorf("%d locked: %d others are saved after %s", c.locked, len(l.saved), l.took)
			}
		})
	}
}
