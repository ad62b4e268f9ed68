package reputation_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/examples/reputation"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
	"github.com/savepoint-games/savepoint/savers/savertest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

func newPool(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), stacktest.EmptyDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if _, err := pool.Exec(t.Context(), reputation.Schema); err != nil {
		t.Fatal(err)
	}
	return pool
}

func TestReputationConverges(t *testing.T) {
	t.Parallel()
	savertest.Converges(t, newPool(t), savertest.Suite{
		Saver: reputation.Saver{}, History: history, Tables: []string{"reputation"},
	})
}

func history(r *rand.Rand) (out []events.StateChanged) {
	for i := range 60 {
		out = append(out, standing(events.CharID(1+r.IntN(3)), 1_790_000_000_000_000+events.Version(i), fmt.Sprint("faction-", r.IntN(3)), r.Int64N(100)-50))
	}
	return out
}

func standing(char events.CharID, v events.Version, faction string, points int64) events.StateChanged {
	return events.New(char, v, events.CauseAction, uuid.Nil, reputation.Scope, reputation.Standing{Faction: faction, Delta: 1, Points: points})
}

// newSource opens a stream of the test's own, and the consumer of a scope.
func newSource(t *testing.T, scope events.Scope) (*bus.Bus, *intake.Source) {
	t.Helper()
	stream, err := bus.Connect(stacktest.NATS(t).URL(), t.Name(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	in := intake.New(stream, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		in.Close(ctx)
		stream.Close(ctx)
	})
	if err := stream.Ensure(t.Context(), bus.Topology{}); err != nil {
		t.Fatal(err)
	}
	source, err := in.Source(t.Context(), scope)
	if err != nil {
		t.Fatal(err)
	}
	return stream, source
}

// The new scope has its subjects, its consumer and its dead letters like the
// product's own: what is published is saved, what is no good is kept aside.
func TestReputationIsSavedByTheUniversalWorker(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	stream, source := newSource(t, reputation.Scope)
	worker := &savers.Worker{Saver: reputation.Saver{}, Source: source, DB: pool, Dead: stream, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()

	now := events.NextVersion(0, time.Now())
	if err := stream.Publish(t.Context(), standing(42, now, "guild", 5), standing(42, now-1, "guild", 4)); err != nil {
		t.Fatal(err)
	}
	if err := stream.Conn().Publish("sync.reputation.42", []byte(`{"schema":1}`)); err != nil {
		t.Fatal(err)
	}
	stacktest.Eventually(t, "the garbage is kept aside", func() bool {
		n, err := stream.DeadLetters(t.Context(), reputation.Scope)
		return err == nil && n == 1
	})
	stacktest.Eventually(t, "everything is settled", func() bool {
		backlog, err := stream.Backlog(t.Context(), reputation.Scope)
		return err == nil && backlog.Unsaved() == 0
	})
	var points int64
	if err := pool.QueryRow(t.Context(), "SELECT points FROM reputation WHERE char_id = 42 AND faction = 'guild'").Scan(&points); err != nil || points != 5 {
		t.Errorf("points %d, %v; want 5", points, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
