package savers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

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
