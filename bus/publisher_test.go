package bus_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestPublishedEventIsStoredWhenPublishReturns(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	sent := []events.StateChanged{r.vitals(42), r.items(42), r.vitals(43)}

	r.must(r.bus.Publish(t.Context(), sent...))

	stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
	r.must(err)
	for i, want := range sent {
		msg, err := stream.GetMsg(t.Context(), uint64(i+1))
		r.must(err)
		got, err := events.Decode(msg.Data)
		r.must(err)
		equal(t, "event", got, want)
		if subject := events.Subject(want.Scope, want.CharID); msg.Subject != subject {
			t.Errorf("subject %q, want %q", msg.Subject, subject)
		}
		// Nothing here needs the server to look for repeats.
		if id := msg.Header.Get("Nats-Msg-Id"); id != "" {
			t.Errorf("message id %q, want none", id)
		}
	}
}

func TestTraceTravelsWithTheEvent(t *testing.T) {
	t.Parallel()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	r := newRig(t, seldom)

	wait, err := r.bus.Send(game.Origin{Trace: trace}, r.vitals(42))
	r.must(err)
	r.must(wait(t.Context()))
	r.must(r.bus.Publish(t.Context(), r.vitals(42)))

	msgs := r.take(r.source(events.ScopeVitals), 2)
	equal(t, "headers", []nats.Header{msgs[0].Headers(), msgs[1].Headers()}, []nats.Header{{"traceparent": {trace}}, nil})
}

// The server takes 64 KiB of headers with a message. An event is worth more than they.
func TestEventIsStoredWithoutHeadersThatAreTooLong(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	key := uuid.NewString()
	for name, c := range map[string]struct {
		origin game.Origin
		want   nats.Header
	}{
		"request": {
			game.Origin{Trace: "00-1", Request: game.Request{Key: key, Record: strings.Repeat("r", 64<<10)}},
			nats.Header{bus.HeaderTrace: {"00-1"}},
		},
		"trace": {
			game.Origin{Trace: strings.Repeat("t", 8<<10), Request: game.Request{Key: key, Record: strings.Repeat("r", 60<<10)}},
			nats.Header{bus.HeaderRequest: {key + " " + strings.Repeat("r", 60<<10)}},
		},
	} {
		wait, err := r.bus.Send(c.origin, r.vitals(42))
		r.must(err)
		if err := wait(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		msgs := r.take(r.source(events.ScopeVitals), 1)
		r.ack(msgs...)
		equal(t, name, msgs[0].Headers(), c.want)
	}
}

func TestPublishOfNothingSucceeds(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.must(r.bus.Publish(t.Context()))
}

// What a saver could not save is refused here, and NATS is not to blame.
func TestInvalidEventIsNotPublished(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	bad := r.vitals(42)
	bad.Version = 0

	err := r.bus.Publish(t.Context(), bad)

	var unavailable *events.UnavailableError
	if !errors.Is(err, events.ErrVersion) || errors.As(err, &unavailable) {
		t.Errorf("got %v, want ErrVersion", err)
	}
	if n := r.stream("SYNC").State.Msgs; n != 0 {
		t.Errorf("%d events are stored", n)
	}
}

// Each of many publishers gets the acks of its own events.
func TestConcurrentPublishersAllGetTheirAcks(t *testing.T) {
	t.Parallel()
	const publishers, total = 16, 1000
	r := newRig(t, seldom)
	var group errgroup.Group
	for n := range publishers {
		group.Go(func() error {
			for i := n; i < total; i += publishers {
				if err := r.bus.Publish(t.Context(), r.vitals(events.CharID(i+1))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	r.must(group.Wait())

	state := r.stream("SYNC").State
	if state.Msgs != total || state.NumSubjects != total {
		t.Errorf("%d events of %d characters, want %d of each", state.Msgs, state.NumSubjects, total)
	}
}

// Send returns before the ack; the wait is the caller's.
func TestSentEventIsStoredWhenTheWaitReturns(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	wait, err := r.bus.Send(game.Origin{}, r.vitals(42), r.items(42))
	r.must(err)

	r.must(wait(t.Context()))

	if n := r.stream("SYNC").State.Msgs; n != 2 {
		t.Errorf("%d events are stored, want 2", n)
	}
}

// Somebody listens and no ack ever comes: as when the server hangs.
func TestPublishEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.must(r.js.DeleteStream(t.Context(), bus.StreamChanges))
	silent, err := r.js.Conn().SubscribeSync("sync.>")
	r.must(err)
	r.must(r.js.Conn().Flush())

	t.Run("deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		within(t, "the end of the publish", func() {
			err := r.bus.Publish(ctx, r.vitals(42))
			isUnavailable(t, err)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the deadline", err)
			}
		})
	})
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		within(t, "the end of the publish", func() { isUnavailable(t, r.bus.Publish(ctx, r.vitals(42))) })
	})
	t.Run("without a deadline", func(t *testing.T) {
		within(t, "the end of the publish", func() { isUnavailable(t, r.bus.Publish(context.Background(), r.vitals(42))) })
	})
	if n, _, err := silent.Pending(); err != nil || n == 0 {
		t.Errorf("%d events were heard (%v): the test proves nothing", n, err)
	}
}

// The network takes bytes and gives none, until no more fit into it. Who writes
// then waits with the connection locked: everybody waits.
func TestFullConnectionHoldsNobodyUpForLong(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	network := newValve(t, strings.TrimPrefix(r.server.URL(), "nats://"))
	through := connect(t, "nats://"+network.addr)
	stacktest.Eventually(t, "a connection", func() bool { return through.Publish(t.Context(), r.vitals(1)) == nil })

	network.shut.Lock()
	reopen := sync.OnceFunc(network.shut.Unlock)
	t.Cleanup(reopen)
	began := time.Now()
	within(t, "the end of writing what does not fit", func() {
		for through.Conn().Publish("filler", make([]byte, 64<<10)) == nil {
		}
		isUnavailable(t, through.Publish(context.Background(), r.vitals(2)))
	})
	// The client's own limit is a minute.
	if waited := time.Since(began); waited > 30*time.Second {
		t.Errorf("a write held up everybody for %v", waited)
	}

	reopen()
	stacktest.Eventually(t, "a publish when the network is back", func() bool {
		return through.Publish(t.Context(), r.vitals(3)) == nil
	})
}

// valve is a network that forwards nothing while shut is locked.
type valve struct {
	addr string
	shut sync.RWMutex
}

func newValve(t *testing.T, target string) *valve {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{addr: listener.Addr().String()}
	var running sync.WaitGroup
	open, end := context.WithCancel(context.Background())
	t.Cleanup(func() {
		_ = listener.Close()
		end()
		running.Wait()
	})
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			context.AfterFunc(open, func() { _, _ = client.Close(), server.Close() })
			running.Go(func() { v.forward(server, client) })
			running.Go(func() { v.forward(client, server) })
		}
	})
	return v
}

// forward ends when one end has gone, or the test. A client that is closed while it
// connects again may leave a connection open.
func (v *valve) forward(dst, src net.Conn) {
	defer func() { _, _ = dst.Close(), src.Close() }()
	buf := make([]byte, 4096)
	for {
		n, err := src.Read(buf)
		v.shut.RLock()
		_, failed := dst.Write(buf[:n])
		v.shut.RUnlock()
		if err != nil || failed != nil {
			return
		}
	}
}

func TestPublishWithoutAStreamIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	within(t, "the end of the publish", func() { isUnavailable(t, r.bus.Publish(context.Background(), r.vitals(42))) })
}

// A full stream refuses loudly, and keeps what it acknowledged.
func TestFullStreamRefuses(t *testing.T) {
	t.Parallel()
	topology := seldom
	topology.MaxBytes = 16 << 10
	r := newRig(t, topology)
	stored := uint64(0)
	var err error
	for err == nil && stored < 1000 {
		if err = r.bus.Publish(t.Context(), r.vitals(42)); err == nil {
			stored++
		}
	}

	isUnavailable(t, err)
	state := r.stream("SYNC").State
	if state.Msgs != stored || state.FirstSeq != 1 {
		t.Errorf("%d events from %d on, want %d from the first on", state.Msgs, state.FirstSeq, stored)
	}
}

// The dirty mark is the buffer: while there is no server a publish fails, and
// does not wait for one. The same bus goes on when there is one again.
func TestPublishGoesOnAfterAnOutage(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	before := r.publish(r.vitals(1))[0]
	lost := r.vitals(2)

	stop(t, r.server)
	within(t, "the end of a publish without a server", func() {
		isUnavailable(t, r.bus.Publish(context.Background(), lost))
	})
	stacktest.Eventually(t, "the connection is known to be broken", func() bool { return !r.bus.Conn().IsConnected() })
	within(t, "the end of a publish without a connection", func() {
		isUnavailable(t, r.bus.Publish(context.Background(), lost))
	})

	stacktest.RestartNATS(t, r.server.Config())
	after := r.vitals(3)
	stacktest.Eventually(t, "a publish after the outage", func() bool {
		return r.bus.Publish(t.Context(), after) == nil
	})

	// What was refused is not there; what was acknowledged is.
	stacktest.Eventually(t, "a connection of our own", func() bool { return r.js.Conn().IsConnected() })
	stored := make(map[events.CharID]bool)
	for _, msg := range r.take(r.source(events.ScopeVitals), int(r.stream("SYNC").State.Msgs)) {
		e, err := events.Decode(msg.Data())
		r.must(err)
		stored[e.CharID] = true
	}
	if diff := cmp.Diff(map[events.CharID]bool{before.CharID: true, after.CharID: true}, stored); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
}

// Programs start in any order.
func TestBusWorksWhenTheServerComesLater(t *testing.T) {
	t.Parallel()
	server := stacktest.NATS(t)
	stop(t, server)
	b, err := bus.Connect(server.URL(), t.Name(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Conn().Close()
	isUnavailable(t, b.Ping(t.Context()))

	stacktest.RestartNATS(t, server.Config())

	stacktest.Eventually(t, "the topology", func() bool { return b.Ensure(t.Context(), seldom) == nil })
	if err := b.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}
