package savers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

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

// A server that refuses a connection, as one with a full disk does, has seen no
// event: whatever its code says, no event is bad.
func TestRefusedConnectionIsTransient(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	_, err := pgx.Connect(ctx, stacktest.Database(t)+"&client_encoding=nonsense")

	if err == nil {
		t.Fatal("connected")
	}
	if kind := savers.KindOf(err); kind != savers.KindTransient {
		t.Errorf("%v is %s", err, kind)
	}
}

// A pooler that gives each transaction another session mixes up prepared statements:
// some are not there, some are there already; and a migration outdates them. No event is
// bad for that.
func TestMixedUpPreparedStatementsAreTransient(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for mixUp, want := range map[string]string{
		"DEALLOCATE ALL": "26000",
		"PREPARE twice AS SELECT 1; PREPARE twice AS SELECT 1": "42P05",
		"ALTER TABLE character_vitals ADD COLUMN mood text":    "0A000",
	} {
		const question = "SELECT * FROM character_vitals WHERE char_id = $1"
		_, err := conn.Exec(t.Context(), question, 1)
		if err == nil {
			_, err = conn.Conn().PgConn().Exec(t.Context(), mixUp).ReadAll()
		}
		if err == nil {
			_, err = conn.Exec(t.Context(), question, 1)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", mixUp, err, want)
		}
		if kind := savers.KindOf(err); kind != savers.KindTransient {
			t.Errorf("%v is %s", err, kind)
		}
	}
}
