// Package savertest proves that a saver converges: whatever the order, the
// repetitions and the batches in which the events of a history arrive, the rows
// end the same. Use it for savers of your own:
//
//	func TestReputationConverges(t *testing.T) {
//		savertest.Converges(t, pool, savertest.Suite{
//			Saver:   reputation.Saver{},
//			History: randomHistory,
//			Tables:  []string{"reputation"},
//		})
//	}
package savertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// A Suite describes a saver to be proven.
type Suite struct {
	Saver savers.Saver
	// History makes a random history, in the order in which it happened: a
	// later event of a character has a higher version.
	History func(r *rand.Rand) []events.StateChanged
	// Tables are the tables that the saver writes. They are emptied.
	Tables []string
	// Seeds is how many histories are tried. Defaults to 25, or 5 with -short.
	Seeds int
}

// arrivals is how many ways each history arrives in.
const arrivals = 4

// Converges fails t at the first history whose rows depend on how it arrived.
// The database behind pool must have the saver's tables and be t's alone.
func Converges(t testing.TB, pool *pgxpool.Pool, s Suite) {
	t.Helper()
	if s.Seeds < 1 {
		s.Seeds = 25
		if testing.Short() {
			s.Seeds = 5
		}
	}
	for seed := 1; seed <= s.Seeds; seed++ {
		if err := Check(t.Context(), pool, s, uint64(seed)); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// Check tries one history: in order, one by one; then shuffled, repeated and
// cut into random batches; then by several savers at once; and all of it once
// more on top, as a replay does. It returns what went differently.
func Check(ctx context.Context, pool *pgxpool.Pool, s Suite, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 0))
	history, err := throughTheWire(s.History(r))
	if err != nil {
		return err
	}
	run := &run{suite: s, pool: pool}
	if err := run.empty(ctx); err != nil {
		return err
	}
	if err := run.save(ctx, oneByOne(history)); err != nil {
		return fmt.Errorf("in order: %w", err)
	}
	want, err := run.rows(ctx)
	if err != nil {
		return err
	}
	if len(history) > 0 && want == "" {
		return errors.New("the history left no rows")
	}
	for n := range arrivals {
		if err := run.arrive(ctx, r, history, n, want); err != nil {
			return err
		}
	}
	return nil
}

// throughTheWire encodes and decodes the events, as the stream would.
func throughTheWire(history []events.StateChanged) ([]events.StateChanged, error) {
	out := make([]events.StateChanged, len(history))
	for i := range history {
		body, err := events.Encode(&history[i])
		if err != nil {
			return nil, fmt.Errorf("event %d of the history: %w", i, err)
		}
		if out[i], err = events.Decode(body); err != nil {
			return nil, fmt.Errorf("event %d of the history: %w", i, err)
		}
	}
	return out, nil
}

type run struct {
	suite Suite
	pool  *pgxpool.Pool
}

// arrive lets the history arrive in one random way into empty tables, and then
// once more on top.
func (x *run) arrive(ctx context.Context, r *rand.Rand, history []events.StateChanged, n int, want string) error {
	if err := x.empty(ctx); err != nil {
		return err
	}
	savers := 1 + n%2*3 // alone, and four at once
	for _, what := range []string{"shuffled", "replayed"} {
		if err := x.saveAtOnce(ctx, savers, cut(r, disturb(r, history))); err != nil {
			return fmt.Errorf("%s, %d savers: %w", what, savers, err)
		}
		got, err := x.rows(ctx)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("%s, %d savers, the rows differ:\n%s", what, savers, difference(want, got))
		}
	}
	return nil
}

func oneByOne(history []events.StateChanged) [][]events.StateChanged {
	batches := make([][]events.StateChanged, len(history))
	for i := range history {
		batches[i] = history[i : i+1]
	}
	return batches
}

// disturb repeats a third of the events and shuffles them all.
func disturb(r *rand.Rand, history []events.StateChanged) []events.StateChanged {
	out := append([]events.StateChanged(nil), history...)
	for i := range history {
		if r.IntN(3) == 0 {
			out = append(out, history[i])
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// cut makes batches of random sizes.
func cut(r *rand.Rand, all []events.StateChanged) (batches [][]events.StateChanged) {
	for len(all) > 0 {
		n := min(1+r.IntN(20), len(all))
		batches = append(batches, all[:n])
		all = all[n:]
	}
	return batches
}

func (x *run) save(ctx context.Context, batches [][]events.StateChanged) error {
	for _, batch := range batches {
		err := pgx.BeginFunc(ctx, x.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL synchronous_commit = off"); err != nil {
				return err
			}
			return x.suite.Saver.Save(ctx, tx, batch)
		})
		if err != nil {
			return fmt.Errorf("save %d events: %w", len(batch), err)
		}
	}
	return nil
}

// saveAtOnce deals the batches to several savers. A deadlock between them is an
// error: rows in key order cannot have one.
func (x *run) saveAtOnce(ctx context.Context, savers int, batches [][]events.StateChanged) error {
	hands := make([][][]events.StateChanged, savers)
	for i, batch := range batches {
		hands[i%savers] = append(hands[i%savers], batch)
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, hand := range hands {
		group.Go(func() error { return x.save(ctx, hand) })
	}
	return group.Wait()
}

func (x *run) empty(ctx context.Context) error {
	for _, table := range x.suite.Tables {
		if _, err := x.pool.Exec(ctx, "DELETE FROM "+pgx.Identifier{table}.Sanitize()); err != nil {
			return fmt.Errorf("empty %s: %w", table, err)
		}
	}
	return nil
}

// rows returns all rows of the tables as text, in a fixed order.
func (x *run) rows(ctx context.Context) (string, error) {
	var out strings.Builder
	for _, table := range x.suite.Tables {
		found, err := x.pool.Query(ctx, "SELECT t::text FROM "+pgx.Identifier{table}.Sanitize()+" t ORDER BY 1")
		if err != nil {
			return "", err
		}
		lines, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			return "", fmt.Errorf("read %s: %w", table, err)
		}
		for _, line := range lines {
			fmt.Fprintf(&out, "%s %s\n", table, line)
		}
	}
	return out.String(), nil
}

// difference lists the lines that only one side has.
func difference(want, got string) string {
	var out strings.Builder
	only := func(sign, these, those string) {
		for line := range strings.Lines(these) {
			if !strings.Contains(those, line) {
				out.WriteString(sign + " " + line)
			}
		}
	}
	only("- in order:", want, got)
	only("+ arrived: ", got, want)
	return out.String()
}
