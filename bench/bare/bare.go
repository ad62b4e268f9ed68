// Package bare is the least that a gateway of this kind can do, and what its
// latencies are compared with: one net/http handler that runs one small script
// in Redis, publishes one message to JetStream, waits for its ack, and answers.
// It checks nothing, decides nothing, and nothing that it does can be saved.
//
// Its connections have the settings of the product's.
package bare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/internal/program"
)

// script reads one field and sets two.
var script = redis.NewScript(`
local version = redis.call('HGET', KEYS[1], 'version')
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'data', ARGV[2])
return version or '0'`)

// The stream of its messages: that of the product's changes in all that costs
// anything, but for the consumers.
const (
	stream  = "BENCH_BARE"
	subject = "bare."
)

// event is as long as a vitals event.
var event = []byte(`{"schema":1,"id":"7c9e6679-7425-50de-944b-e07fc1f90ae7","scope":"vitals","char_id":42,"version":1790000000123456,` +
	`"cause":"action","occurred_at":"2026-11-22T10:00:00.123456Z","data":{"hp":80,"energy":55,"location":{"zone":"harbor","x":1.5,"y":-2}}}`)

const (
	timeout    = 2 * time.Second
	ackTimeout = 50 * time.Millisecond
)

// ServeBare answers every request on addr until ctx is done. It makes a stream
// of its own.
func ServeBare(ctx context.Context, addr, redisURL, natsURL string) error {
	opts, err := redis.ParseURL(redisURL)
	if err != nil {
		return fmt.Errorf("redis url: %w", err)
	}
	opts.MaxRetries, opts.DialerRetries = -1, 1
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = timeout, timeout, timeout
	opts.ContextTimeoutEnabled = true
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	conn, err := bus.Connect(natsURL, "bench-bare", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		conn.Close(closing)
	}()
	js, err := jetstream.New(conn.Conn(),
		jetstream.WithPublishAsyncMaxPending(4000), jetstream.WithPublishAsyncTimeout(timeout), jetstream.WithDefaultTimeout(timeout))
	if err != nil {
		return err
	}
	if err := ensure(ctx, js, 1+strings.Count(natsURL, ",")); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/", handler{rdb, js})
	return program.Serve(ctx, addr, mux)
}

// ensure makes the stream, with a replica on each server; the connection is made in
// the background.
func ensure(ctx context.Context, js jetstream.JetStream, replicas int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
			Name: stream, Subjects: []string{subject + ">"}, Replicas: replicas,
			Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
			MaxAge: 7 * 24 * time.Hour, MaxBytes: 8 << 30, MaxMsgSize: -1, AllowDirect: true, Duplicates: time.Second,
		})
		if err == nil || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

type handler struct {
	rdb *redis.Client
	js  jetstream.JetStream
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer := answers[true]
	err = h.act(r.Context(), charOf(r.URL.Path), body)
	if errors.Is(err, errLate) {
		answer, err = answers[false], nil
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) // an error means that the caller is gone
}

// answers, by whether the ack came in time; the product waits as long.
var answers = map[bool][]byte{
	true:  []byte(`{"char_id":42,"version":1790000000123456,"durability":"stream"}` + "\n"),
	false: []byte(`{"char_id":42,"version":1790000000123456,"durability":"hot"}` + "\n"),
}

// charOf is what stands for the character in a path of the contract.
func charOf(path string) string {
	_, rest, _ := strings.Cut(path, "/v1/characters/")
	char, _, _ := strings.Cut(rest, "/")
	return char
}

var errLate = errors.New("no ack in time")

func (h handler) act(ctx context.Context, char string, body []byte) error {
	version := strconv.FormatInt(time.Now().UnixMicro(), 10)
	if err := script.Run(ctx, h.rdb, []string{"bare:" + char}, version, body).Err(); err != nil {
		return fmt.Errorf("script: %w", err)
	}
	ack, err := h.js.PublishAsync(subject+char, event)
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	timer := time.NewTimer(ackTimeout)
	defer timer.Stop()
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		return fmt.Errorf("publish: %w", err)
	case <-timer.C:
		return errLate
	}
}
