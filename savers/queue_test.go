package savers_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

// statements counts what is sent to PostgreSQL.
type statements struct{ alone, batches, inBatches int }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.alone++
	return ctx
}
func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	s.batches++
	return ctx
}
func (s *statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {
	s.inBatches++
}
func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// maxStatements is how many statements saved a batch when this guard was set,
// whatever its size. One more is a regression.
var maxStatements = map[events.Scope]int{
	events.ScopeVitals:    1,
	events.ScopeInventory: 1,
	events.ScopeScenario:  1,
	events.ScopeCombat:    3, // history, progress, items
}

// A batch of any size is sent in one round trip, as few statements.
func TestABatchIsFewStatementsInOneRoundTrip(t *testing.T) {
	t.Parallel()
	sent := new(statements)
	config, err := pgxpool.ParseConfig(stacktest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Tracer = sent
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	for _, name := range []string{"vitals", "inventory", "scenario", "combat"} {
		suite := suites[name]
		saver := suite.Saver.(savers.Queuer)
		*sent = statements{}
		var q pgx.Batch
		if err := saver.Queue(&q, suite.History(rand.New(rand.NewPCG(1, 2)))); err != nil {
			t.Fatal(err)
		}
		if err := pool.SendBatch(t.Context(), &q).Close(); err != nil {
			t.Fatal(err)
		}
		want := statements{batches: 1, inBatches: maxStatements[saver.Scope()]}
		if *sent != want {
			t.Errorf("%s: sent %+v, want %+v", name, *sent, want)
		}
	}
}

// What is queued is one transaction: where the last statement fails, the first
// has not happened.
func TestQueuedStatementsAreOneTransaction(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	var q pgx.Batch
	if err := (savers.CombatStateSaver{}).Queue(&q, combatHistory(rand.New(rand.NewPCG(3, 4)))); err != nil {
		t.Fatal(err)
	}
	q.Queue("INSERT INTO items (char_id, item_id, version, quantity) VALUES (1, 'gem', 1, -1)")
	if err := pool.SendBatch(t.Context(), &q).Close(); savers.KindOf(err) != savers.KindBad {
		t.Fatalf("a negative quantity gives %v", err)
	}
	var fights int
	if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM combat_history").Scan(&fights); err != nil {
		t.Fatal(err)
	}
	if fights != 0 {
		t.Errorf("%d fights are saved though the transaction failed", fights)
	}
}
