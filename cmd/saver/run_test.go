package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
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
	go func() { done <- (&runCmd{Batch: 100}).work(t.Context(), r.conns, stateSavers(), nil, quiet) }()

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
