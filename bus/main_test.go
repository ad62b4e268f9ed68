package bus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// rig is a NATS server with a bus on it, and with a connection of somebody
// else's.
type rig struct {
	t      *testing.T
	server *stack.NATS
	bus    *bus.Bus
	nc     *nats.Conn
	js     jetstream.JetStream
	clock  *atomic.Int64 // the newest version that was handed out
}

// seldom is a topology whose ticks stay away.
var seldom = bus.Topology{CleanupEvery: time.Hour}

// newRig starts a server with the topology.
func newRig(t *testing.T, topology bus.Topology) *rig {
	t.Helper()
	r := newEmptyRig(t)
	r.must(r.bus.Ensure(t.Context(), topology))
	return r
}

// newEmptyRig starts a server without streams.
func newEmptyRig(t *testing.T) *rig {
	t.Helper()
	return newRigOn(t, stacktest.NATS(t))
}

// newRigOn is newEmptyRig on a server that is there, or on those of a cluster.
func newRigOn(t *testing.T, servers ...*stack.NATS) *rig {
	t.Helper()
	urls := make([]string, len(servers))
	for i, s := range servers {
		urls[i] = s.URL()
	}
	url := strings.Join(urls, ",")
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, server: servers[0], bus: connect(t, url), nc: nc, js: js, clock: new(atomic.Int64)}
	r.clock.Store(time.Now().Add(-time.Hour).UnixMicro())
	return r
}

// configured is a server with more settings.
func configured(t *testing.T, settings string) *stack.NATS {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "nats.conf")
	conf := fmt.Sprintf("jetstream { store_dir: %q, max_file: 32GiB, max_mem: 64MiB }\n%s", filepath.Join(dir, "data"), settings)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return stacktest.RestartNATS(t, stack.NATSConfig{ConfigFile: file, Port: -1})
}

// connect opens one more bus, as another process would.
func connect(t *testing.T, url string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(url, t.Name(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Without a server there is nothing to wait for.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if !b.Conn().IsConnected() {
			cancel()
		}
		b.Close(ctx)
	})
	stacktest.Eventually(t, "a connection", func() bool { return b.Conn().IsConnected() })
	return b
}

func stop(t *testing.T, server *stack.NATS) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// vitals is a change at the next version.
func (r *rig) vitals(char events.CharID) events.StateChanged {
	return events.New(char, events.Version(r.clock.Add(1)), events.CauseAction, uuid.Nil, events.ScopeVitals,
		events.Vitals{HP: 80, Energy: 55, Location: events.Location{Zone: "harbor"}})
}

// items is a change at the next version.
func (r *rig) items(char events.CharID) events.StateChanged {
	return events.New(char, events.Version(r.clock.Add(1)), events.CauseAction, uuid.Nil, events.ScopeInventory,
		events.Inventory{Items: []events.ItemChange{{ItemID: "potion", Delta: 1, Quantity: 1}}})
}

// publish publishes events that have to be stored, and returns them.
func (r *rig) publish(batch ...events.StateChanged) []events.StateChanged {
	r.t.Helper()
	r.must(r.bus.Publish(r.t.Context(), batch...))
	return batch
}

// put stores a body as somebody else's program would.
func (r *rig) put(subject, body string) uint64 {
	r.t.Helper()
	ack, err := r.js.Publish(r.t.Context(), subject, []byte(body))
	r.must(err)
	return ack.Sequence
}

// source is the consumer that the savers of a scope share.
func (r *rig) source(scope events.Scope) jetstream.Consumer {
	r.t.Helper()
	consumer, err := r.js.Consumer(r.t.Context(), bus.StreamOf(scope), bus.ConsumerName(scope))
	r.must(err)
	return consumer
}

// take has the server hand out exactly n messages of a consumer.
func (r *rig) take(consumer jetstream.Consumer, n int) (msgs []jetstream.Msg) {
	r.t.Helper()
	batch, err := consumer.Fetch(n, jetstream.FetchMaxWait(patience))
	r.must(err)
	for msg := range batch.Messages() {
		msgs = append(msgs, msg)
	}
	if len(msgs) != n {
		r.t.Fatalf("%d messages came, want %d (%v)", len(msgs), n, batch.Error())
	}
	return msgs
}

// ack returns when the server has the acknowledgements.
func (r *rig) ack(msgs ...jetstream.Msg) {
	r.t.Helper()
	for _, msg := range msgs {
		r.must(msg.DoubleAck(r.t.Context()))
	}
}

func (r *rig) stream(name string) *jetstream.StreamInfo {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), name)
	r.must(err)
	return stream.CachedInfo()
}

func (r *rig) consumer(stream, name string) *jetstream.ConsumerInfo {
	r.t.Helper()
	consumer, err := r.js.Consumer(r.t.Context(), stream, name)
	r.must(err)
	return consumer.CachedInfo()
}

// saver is the consumer of a scope's savers.
func (r *rig) saver(scope events.Scope) *jetstream.ConsumerInfo {
	r.t.Helper()
	return r.consumer(bus.StreamChanges, "saver-"+string(scope))
}

// await returns when the savers' consumers count so many unsettled events. The
// server tells them some moments after it has acknowledged the publish.
func (r *rig) await(vitals, inventory uint64) {
	r.t.Helper()
	for scope, want := range map[events.Scope]uint64{events.ScopeVitals: vitals, events.ScopeInventory: inventory} {
		stacktest.Eventually(r.t, "the savers of "+string(scope)+" have the events before them", func() bool {
			info := r.saver(scope)
			return info.NumPending+uint64(info.NumAckPending) == want
		})
	}
}

// patience is far above what anything takes, so that only what never happens
// fails.
const patience = 60 * time.Second

// within fails where do does not come back at all.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("never: %s", what)
	}
}

func isUnavailable(t *testing.T, err error) {
	t.Helper()
	var unavailable *events.UnavailableError
	if !errors.As(err, &unavailable) || unavailable.What != "nats" {
		t.Errorf("got %v, want an UnavailableError of nats", err)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func sequence(t *testing.T, msg jetstream.Msg) uint64 {
	t.Helper()
	meta, err := msg.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	return meta.Sequence.Stream
}

// ownMetadata drops what the server adds by itself.
func ownMetadata(all map[string]string) map[string]string {
	own := make(map[string]string)
	for key, value := range all {
		if !strings.HasPrefix(key, "_nats.") {
			own[key] = value
		}
	}
	if len(own) == 0 {
		return nil
	}
	return own
}
