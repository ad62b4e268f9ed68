package stacktest_test

import (
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

func TestDatabasesAreMigratedAndApart(t *testing.T) {
	t.Parallel()
	one, two := stacktest.Database(t), stacktest.Database(t)

	have, want, err := migrate.Versions(t.Context(), one)

	if err != nil || have != want {
		t.Errorf("the schema has version %d, want %d (%v)", have, want, err)
	}
	execute(t, one, "CREATE TABLE mine ()")
	execute(t, two, "CREATE TABLE mine ()")
}

func TestEmptyDatabaseHasNoTables(t *testing.T) {
	t.Parallel()
	url := stacktest.EmptyDatabase(t)

	have, _, err := migrate.Versions(t.Context(), url)

	if err != nil || have != 0 {
		t.Errorf("the schema has version %d, want none (%v)", have, err)
	}
}

func TestDatabaseGoesWithConnectionsOpen(t *testing.T) {
	t.Parallel()
	var conn *pgx.Conn
	t.Run("who uses it forgets to close", func(t *testing.T) {
		var err error
		if conn, err = pgx.Connect(t.Context(), stacktest.Database(t)); err != nil {
			t.Fatal(err)
		}
	})

	if err := conn.Ping(t.Context()); err == nil {
		t.Error("the database is still there")
	}
	_ = conn.Close(t.Context())
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestRedisDatabasesAreApart(t *testing.T) {
	t.Parallel()
	one, two := redisClient(t, stacktest.Redis(t)), redisClient(t, stacktest.Redis(t))

	if err := one.Set(t.Context(), "key", 1, 0).Err(); err != nil {
		t.Fatal(err)
	}

	if err := two.Get(t.Context(), "key").Err(); err != redis.Nil {
		t.Errorf("the other database answers %v, want redis.Nil", err)
	}
}

func redisClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
