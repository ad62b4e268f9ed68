package stack_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// Each server is given one thing to remember and asked for it later. The three
// are used with the server's address alone, as its users would.

func writePostgres(t *testing.T, url string) {
	t.Helper()
	query(t, url, "CREATE TABLE remembered AS SELECT 42 AS n", nil)
}

func inPostgres(t *testing.T, url string) (n int) {
	t.Helper()
	query(t, url, "SELECT n FROM remembered", &n)
	return n
}

func query(t *testing.T, url, statement string, result *int) {
	t.Helper()
	ctx := within(t)
	conn, err := pgx.Connect(ctx, url)
	must(t, err)
	defer conn.Close(ctx)
	if result == nil {
		_, err = conn.Exec(ctx, statement)
	} else {
		err = conn.QueryRow(ctx, statement).Scan(result)
	}
	must(t, err)
}

func writeRedis(t *testing.T, url string) {
	t.Helper()
	must(t, redisClient(t, url).Set(within(t), "remembered", 42, 0).Err())
}

func inRedis(t *testing.T, url string) int {
	t.Helper()
	n, err := redisClient(t, url).Get(within(t), "remembered").Int()
	must(t, err)
	return n
}

func redisClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	must(t, err)
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func writeNATS(t *testing.T, url string) {
	t.Helper()
	js := jetStream(t, url)
	ctx := within(t)
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "REMEMBERED", Subjects: []string{"remembered"}})
	must(t, err)
	_, err = js.Publish(ctx, "remembered", []byte("42"))
	must(t, err)
}

func inNATS(t *testing.T, url string) string {
	t.Helper()
	stream, err := jetStream(t, url).Stream(within(t), "REMEMBERED")
	must(t, err)
	msg, err := stream.GetLastMsgForSubject(within(t), "remembered")
	must(t, err)
	return string(msg.Data)
}

func jetStream(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(url)
	must(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	must(t, err)
	return js
}

func writeAll(t *testing.T, s *stack.Stack) {
	t.Helper()
	writePostgres(t, s.Postgres.URL())
	writeRedis(t, s.Redis.URL())
	writeNATS(t, s.NATS.URL())
}

func checkAll(t *testing.T, s *stack.Stack) {
	t.Helper()
	if n := inPostgres(t, s.Postgres.URL()); n != 42 {
		t.Errorf("PostgreSQL remembers %d", n)
	}
	if n := inRedis(t, s.Redis.URL()); n != 42 {
		t.Errorf("Redis remembers %d", n)
	}
	if text := inNATS(t, s.NATS.URL()); text != "42" {
		t.Errorf("NATS remembers %q", text)
	}
}

// startStack starts a stack that is closed at the test's end at the latest.
func startStack(t *testing.T, dir string) *stack.Stack {
	t.Helper()
	s, err := stack.Start(within(t), stack.Config{Dir: dir, Progress: func(line string) { t.Log(line) }})
	must(t, err)
	t.Cleanup(func() { must(t, s.Close(context.Background())) })
	return s
}
