package bare_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/bench/bare"
	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// Each request is one script and one message that the stream has when the answer
// leaves, and no more.
func TestRequestIsOneScriptAndOneMessage(t *testing.T) {
	redisURL, natsURL := stacktest.OwnRedis(t).URL(), stacktest.NATS(t).URL()
	addrs, err := stack.FreeAddrs(1)
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- bare.ServeBare(ctx, addrs[0], redisURL, natsURL) }()
	t.Cleanup(func() { cancel(); must(t, <-served) })
	stacktest.Eventually(t, "it answers", func() bool {
		resp, err := http.Get("http://" + addrs[0] + "/readyz")
		return err == nil && resp.Body.Close() == nil
	})
	nc, err := nats.Connect(natsURL)
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	must(t, err)
	opts, err := redis.ParseURL(redisURL)
	must(t, err)
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { _ = rdb.Close() })

	for n := 1; n <= 3; n++ {
		put(t, addrs[0], `{"hp":1}`)

		stream, err := js.Stream(ctx, "BENCH_BARE")
		must(t, err)
		if got := stream.CachedInfo().State.Msgs; got != uint64(n) {
			t.Errorf("%d messages after %d requests", got, n)
		}
	}
	stats := rdb.Info(ctx, "commandstats").Val()
	if !strings.Contains(stats, "cmdstat_hset:calls=3,") || !strings.Contains(stats, "cmdstat_hget:calls=3,") {
		t.Errorf("the scripts did %s", stats)
	}
	if got := rdb.HGet(ctx, "bare:7", "data").Val(); got != `{"hp":1}` {
		t.Errorf("Redis has %q", got)
	}
}

func put(t *testing.T, addr, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+addr+"/v1/characters/7/vitals", strings.NewReader(body))
	must(t, err)
	resp, err := http.DefaultClient.Do(req)
	must(t, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), `"durability":"stream"`) {
		t.Fatalf("%s: %s", resp.Status, answer)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
