package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// A saver that cannot save one of its scopes ends, and says why: with some of its workers
// it would look well.
func TestSaverEndsWhereOneOfItsScopesCannotBegin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(r.js.DeleteConsumer(t.Context(), bus.StreamChanges, "saver-vitals")) // the last scope
	stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
	r.must(err)
	cfg := stream.CachedInfo().Config
	cfg.Discard = jetstream.DiscardOld // it is not made again
	_, err = r.js.UpdateStream(t.Context(), cfg)
	r.must(err)

	done := make(chan error, 1)
	go func() { done <- r.saver(&runCmd{Batch: 100}).work(t.Context()) }()

	select {
	case err := <-done:
		if !errors.Is(err, bus.ErrUnsafe) {
			t.Errorf("got %v, want ErrUnsafe", err)
		}
	case <-time.After(patience):
		t.Fatal("never: the end of the saver")
	}
}

// A server that takes connections and never answers may be another one the next time.
func TestLookAtTheSchemaEnds(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()

	done := make(chan error, 1)
	go func() {
		done <- checkSchema(t.Context(), "postgres://"+silent.Addr().String()+"/savepoint", 50*time.Millisecond)
	}()

	select {
	case err := <-done:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want its deadline", err)
		}
	case <-time.After(patience):
		t.Fatal("never: the end of the look")
	}
}

// What a sweeper has read may be missing from copies that gateways have joined since: it
// is published no later than they publish, and joins no sooner.
func TestSaverKeepsTheFenceOfTheGateways(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for timeout, want := range map[time.Duration]time.Duration{50 * time.Millisecond: 300 * time.Millisecond, time.Second: 2 * time.Second} {
		r.cli.PublishTimeout = timeout
		conns, err := open(t.Context(), r.cli, t.Name(), quiet)
		r.must(err)
		defer conns.close(context.Background())

		service := conns.service(events.CauseCleanup, quiet)

		if service.PublishBy != want || service.Fence != want {
			t.Errorf("PUBLISH_TIMEOUT=%s: published by %s, joined after %s, want %s", timeout, service.PublishBy, service.Fence, want)
		}
	}
}
