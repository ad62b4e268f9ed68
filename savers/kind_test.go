package savers_test

import (
	"context"
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
