package intake_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// newClusterRig starts three servers with the topology, of three replicas.
func newClusterRig(t *testing.T) (*rig, []*stack.NATS) {
	t.Helper()
	servers := stacktest.NATSCluster(t)
	r := newRigOn(t, servers...)
	stacktest.Eventually(t, "the cluster has its streams", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second) // nobody answers before one leads
		defer cancel()
		return r.bus.Ensure(ctx, bus.Topology{Replicas: len(servers), CleanupEvery: time.Hour, AckWait: 2 * time.Second}) == nil
	})
	return r, servers
}

// play keeps events waiting until it is told to stop, which waits for it.
func (r *rig) play() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	var playing sync.WaitGroup
	playing.Go(func() {
		for ctx.Err() == nil {
			batch := make([]events.StateChanged, 500)
			for i := range batch {
				batch[i] = r.vitals(42)
			}
			short, cancel := context.WithTimeout(ctx, time.Second)
			_ = r.bus.Publish(short, batch...) // it fails while no server leads the stream
			cancel()
		}
	})
	return func() {
		cancel()
		playing.Wait()
	}
}

// A worker saves what a source brings.
type worker struct {
	*rig
	source *intake.Source
	came   map[uint64]bool
}

func (r *rig) worker() *worker {
	r.t.Helper()
	return &worker{r, r.source(events.ScopeVitals), make(map[uint64]bool)}
}

// save saves until something is so.
func (w *worker) save(what string, until func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !until(); {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Second)
		msgs, _ := w.source.Fetch(ctx, at) // it fails while nobody is connected
		cancel()
		for _, msg := range msgs {
			w.came[sequence(w.t, msg)] = true
			_ = msg.Ack() // if it is lost, the event comes again
		}
	}
}

// saveAll saves everything that is stored.
func (w *worker) saveAll() {
	w.t.Helper()
	last := uint64(0)
	w.save("all is settled", func() bool {
		last = w.stream(bus.StreamChanges).State.LastSeq // what was on its way is still stored
		return w.floor() == last && w.source.Reader() == ""
	})
	if len(w.came) != int(last) {
		w.t.Errorf("%d of %d events came", len(w.came), last)
	}
}

// stopLeader stops the server that a consumer of the stream of changes is on.
func (r *rig) stopLeader(servers []*stack.NATS, consumer string) {
	r.t.Helper()
	on := r.consumer(bus.StreamChanges, consumer).Cluster.Leader
	i := slices.IndexFunc(servers, func(s *stack.NATS) bool { return s.Config().Peers.Name == on })
	stop(r.t, servers[i])
	stacktest.Eventually(r.t, "the others lead what it led", func() bool {
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
		defer cancel()
		_, failed := r.js.Stream(ctx, bus.StreamChanges)
		_, err := r.js.Consumer(ctx, bus.StreamChanges, "saver-vitals")
		return errors.Join(failed, err) == nil
	})
}

// A reader lies in the memory of one server of a cluster, and goes with it.
func TestCatchUpOutlivesTheServerOfItsReader(t *testing.T) {
	t.Parallel()
	r, servers := newClusterRig(t)
	r.fill(20_000)
	lists, err := r.nc.SubscribeSync("$JS.API.CONSUMER.LIST.>")
	r.must(err)
	endPlay := r.play()
	defer endPlay()
	w := r.worker()

	w.save("events are read without acks", func() bool { return w.source.Reader() != "" })
	first := w.source.Reader()
	r.stopLeader(servers, first)
	w.save("they are again, from another reader", func() bool { return w.source.Reader() != "" && w.source.Reader() != first })
	endPlay()
	w.saveAll()
	if _, _, err := r.bus.Settled(t.Context()); err != nil {
		t.Error(err)
	}
	if n, _, err := lists.Pending(); err != nil || n > 0 {
		t.Errorf("%d lists of consumers were asked for (%v): one takes four seconds where a reader goes meanwhile", n, err)
	}
}

// Where the leader of a catch-up has gone together with the server of its reader, that
// is known by its name and nobody can read from it. Nobody waits for it either.
func TestReaderOnAServerThatIsAwayIsPassedOver(t *testing.T) {
	t.Parallel()
	r, servers := newClusterRig(t)
	r.fill(20_000)
	const left = "catch-up-saver-vitals-LEFT"
	_, err := r.js.CreateConsumer(t.Context(), bus.StreamChanges, jetstream.ConsumerConfig{
		Name: left, FilterSubject: "sync.vitals.>", AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
	})
	r.must(err)
	r.stopLeader(servers, left)
	w := r.worker()

	w.save("events are read without acks", func() bool { return w.source.Reader() != "" })
	w.saveAll()
}
