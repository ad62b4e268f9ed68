package stacktest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/stack"
)

// template is the database with the schema, copied for each test: 30 ms
// against the time of all migrations.
const template = "migrated_template"

var (
	sharedPostgres shared[*stack.Postgres]
	databases      atomic.Int64 // numbers their names
)

// Database returns the address of a fresh database with the schema of this
// build. It is dropped when the test ends, with whatever is still connected.
func Database(t testing.TB) (url string) {
	t.Helper()
	return createDatabase(t, " TEMPLATE "+template)
}

// EmptyDatabase is Database without a schema.
func EmptyDatabase(t testing.TB) (url string) {
	t.Helper()
	return createDatabase(t, "")
}

func createDatabase(t testing.TB, from string) string {
	t.Helper()
	dir := newDir(t, "p")
	server := sharedPostgres.get(t, func(ctx context.Context) (*stack.Postgres, error) {
		return startShared(ctx, dir)
	})
	name := fmt.Sprintf("test_%d", databases.Add(1))
	if err := execute(server.URL(), "CREATE DATABASE "+name+from); err != nil {
		t.Fatalf("create the test's database: %v", err)
	}
	t.Cleanup(func() {
		if err := execute(server.URL(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	return inDatabase(server, name)
}

func startShared(ctx context.Context, dir string) (*stack.Postgres, error) {
	server, err := stack.StartPostgres(ctx, stack.PostgresConfig{Dir: dir})
	if err != nil {
		return nil, err
	}
	if err := makeTemplate(ctx, server); err != nil {
		_ = server.Kill()
		return nil, err
	}
	return server, nil
}

// makeTemplate closes the database once it has its schema: one with
// connections, be it autovacuum's, cannot be copied.
func makeTemplate(ctx context.Context, server *stack.Postgres) error {
	if err := execute(server.URL(), "CREATE DATABASE "+template); err != nil {
		return err
	}
	if _, err := migrate.Up(ctx, inDatabase(server, template)); err != nil {
		return err
	}
	return execute(server.URL(), "ALTER DATABASE "+template+" ALLOW_CONNECTIONS false")
}

func inDatabase(server *stack.Postgres, name string) string {
	return strings.Replace(server.URL(), "/savepoint?", "/"+name+"?", 1)
}

// execute has a connection of its own: nothing stays open that a test for
// leaks would find.
func execute(url, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

// OwnPostgres returns a server of the test's own, whose database savepoint has
// the schema of this build. It takes half a second; Database takes 30 ms.
func OwnPostgres(t testing.TB) *stack.Postgres {
	t.Helper()
	server := RestartPostgres(t, stack.PostgresConfig{Dir: newDir(t, "p")})
	if _, err := migrate.Up(t.Context(), server.URL()); err != nil {
		t.Fatal(err)
	}
	return server
}

// RestartPostgres starts a stopped or killed OwnPostgres again, given its
// Config.
func RestartPostgres(t testing.TB, cfg stack.PostgresConfig) *stack.Postgres {
	t.Helper()
	return own(t, func(ctx context.Context) (*stack.Postgres, error) { return stack.StartPostgres(ctx, cfg) })
}
