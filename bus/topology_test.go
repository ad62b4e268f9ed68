package bus_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// changes is the stream of changes as it has to be; the server fills in the
// limits that are -1.
func changes() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "SYNC", Description: "Savepoint: what changed, by scope and character",
		Subjects: []string{
			"sync.combat", "sync.combat.*", "sync.inventory", "sync.inventory.*",
			"sync.scenario", "sync.scenario.*", "sync.vitals", "sync.vitals.*",
		},
		SubjectTransform: &jetstream.SubjectTransformConfig{Source: "sync.*", Destination: "sync.{{wildcard(1)}}.any"},
		Storage:          jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Replicas: 1,
		Discard: jetstream.DiscardNew, MaxAge: 7 * 24 * time.Hour, MaxBytes: 8 << 30,
		MaxConsumers: -1, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxMsgSize: 512 << 10,
		AllowDirect: true, Duplicates: time.Second,
	}
}

func (r *rig) config(stream string) jetstream.StreamConfig {
	r.t.Helper()
	cfg := r.stream(stream).Config
	cfg.Metadata = ownMetadata(cfg.Metadata)
	return cfg
}

func TestEnsureCreatesTheStreams(t *testing.T) {
	t.Parallel()
	r := newRig(t, bus.Topology{})

	equal(t, "SYNC", r.config("SYNC"), changes())
	equal(t, "SYNC_DLQ", r.config("SYNC_DLQ"), jetstream.StreamConfig{
		Name: "SYNC_DLQ", Description: "Savepoint: events that cannot be saved, with their reason",
		Subjects: []string{"dlq.>"}, Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Replicas: 1,
		Discard: jetstream.DiscardNew, MaxBytes: 1 << 30,
		MaxConsumers: -1, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1,
		AllowDirect: true, Duplicates: 2 * time.Minute,
	})
	clock := r.config("SYNC_CLOCK")
	equal(t, "subjects of SYNC_CLOCK", clock.Subjects, []string{"sync.cleanup", "clock.>"})
	if !clock.AllowMsgSchedules || clock.Storage != jetstream.FileStorage || clock.MaxMsgsPerSubject != 1 {
		t.Errorf("SYNC_CLOCK is %+v", clock)
	}

	kv, err := r.js.KeyValue(t.Context(), "AC")
	r.must(err)
	status, err := kv.Status(t.Context())
	r.must(err)
	if status.History() != 1 || r.config("KV_AC").Storage != jetstream.FileStorage {
		t.Errorf("bucket AC is %+v", r.config("KV_AC"))
	}
}

func TestEnsureCreatesOneConsumerAScope(t *testing.T) {
	t.Parallel()
	r := newRig(t, bus.Topology{})

	for scope, filter := range map[string]string{
		"combat": "sync.combat.*", "inventory": "sync.inventory.*", "vitals": "sync.vitals.*", "scenario": "sync.scenario.*",
		"cleanup": "sync.cleanup",
	} {
		stream := "SYNC"
		if scope == "cleanup" {
			stream = "SYNC_CLOCK"
		}
		got := r.consumer(stream, "saver-"+scope).Config
		got.Metadata = ownMetadata(got.Metadata)
		equal(t, "consumer of "+scope, got, jetstream.ConsumerConfig{
			Name: "saver-" + scope, Durable: "saver-" + scope, FilterSubject: filter,
			DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy, ReplayPolicy: jetstream.ReplayInstantPolicy,
			AckWait: 10 * time.Second, MaxDeliver: -1, MaxAckPending: 80_000, MaxWaiting: 512,
		})
	}
}

func TestEnsureArmsTheSweepersTick(t *testing.T) {
	t.Parallel()
	r := newRig(t, bus.Topology{CleanupEvery: 90 * time.Minute})

	equal(t, "schedule", r.schedule(), []string{"@every 1h30m0s", "sync.cleanup"})

	// The server takes whole seconds, and not none.
	for asked, armed := range map[time.Duration]string{time.Millisecond: "@every 1s", 1700 * time.Millisecond: "@every 2s"} {
		r.must(r.bus.Ensure(t.Context(), bus.Topology{CleanupEvery: asked}))
		equal(t, "schedule", r.schedule(), []string{armed, "sync.cleanup"})
	}
}

// schedule is how often the tick comes, and where.
func (r *rig) schedule() []string {
	r.t.Helper()
	stream, err := r.js.Stream(r.t.Context(), bus.StreamClock)
	r.must(err)
	msg, err := stream.GetLastMsgForSubject(r.t.Context(), "clock.cleanup")
	r.must(err)
	return []string{msg.Header.Get("Nats-Schedule"), msg.Header.Get("Nats-Schedule-Target")}
}

// shape is all that Ensure makes, with what the streams hold.
type shape struct {
	Streams   map[string]jetstream.StreamConfig
	Created   map[string]time.Time
	LastSeq   map[string]uint64
	Consumers map[string]jetstream.ConsumerConfig
}

func (r *rig) shape() shape {
	r.t.Helper()
	s := shape{
		map[string]jetstream.StreamConfig{}, map[string]time.Time{}, map[string]uint64{}, map[string]jetstream.ConsumerConfig{},
	}
	streams := r.js.ListStreams(r.t.Context())
	for info := range streams.Info() {
		name := info.Config.Name
		s.Streams[name], s.Created[name], s.LastSeq[name] = info.Config, info.Created, info.State.LastSeq
		stream, err := r.js.Stream(r.t.Context(), name)
		r.must(err)
		consumers := stream.ListConsumers(r.t.Context())
		for consumer := range consumers.Info() {
			s.Consumers[name+"/"+consumer.Name], s.Created[name+"/"+consumer.Name] = consumer.Config, consumer.Created
		}
		r.must(consumers.Err())
	}
	r.must(streams.Err())
	return s
}

func TestEnsureTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.publish(r.vitals(42), r.items(42))
	msgs := r.take(r.source(events.ScopeVitals), 1)
	before := r.shape()

	r.must(connect(t, r.server.URL()).Ensure(t.Context(), seldom))

	equal(t, "topology", r.shape(), before)
	if n := r.saver(events.ScopeVitals).NumAckPending; n != 1 {
		t.Errorf("%d events in flight, want the 1 that was", n)
	}
	r.ack(msgs...)
}

// All processes of a deployment start at the same moment.
func TestConcurrentEnsuresAgree(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	var group errgroup.Group
	for range 4 {
		b := connect(t, r.server.URL())
		group.Go(func() error { return b.Ensure(t.Context(), seldom) })
	}
	r.must(group.Wait())

	got := r.shape()
	if len(got.Streams) != 4 || len(got.Consumers) != 5 {
		t.Errorf("%d streams and %d consumers, want 4 and 5", len(got.Streams), len(got.Consumers))
	}
	equal(t, "SYNC", r.config("SYNC"), changes())
	r.publish(r.vitals(42))
}

func TestEnsureBringsAnOlderTopologyUpToDate(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	older := changes()
	older.Subjects, older.SubjectTransform, older.MaxAge, older.MaxBytes = []string{"sync.vitals.*"}, nil, time.Hour, 1<<20
	older.MaxMsgSize = -1
	_, err := r.js.CreateStream(t.Context(), older)
	r.must(err)
	r.put("sync.vitals.42", "kept")

	r.must(r.bus.Ensure(t.Context(), seldom))

	want := changes()
	want.Subjects = r.config("SYNC").Subjects // the order is the server's
	equal(t, "SYNC", r.config("SYNC"), want)
	for _, subject := range changes().Subjects {
		if !strings.Contains(strings.Join(want.Subjects, " "), subject) {
			t.Errorf("subject %s is missing", subject)
		}
	}
	if got := string(r.take(r.source(events.ScopeVitals), 1)[0].Data()); got != "kept" {
		t.Errorf("the first event is %q", got)
	}
}

// An operator, or a newer build, gave more than this process asks for.
func TestEnsureTakesNothingAway(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]func(*jetstream.StreamConfig){
		"age":      func(c *jetstream.StreamConfig) { c.MaxAge = 30 * 24 * time.Hour },
		"any age":  func(c *jetstream.StreamConfig) { c.MaxAge = 0 },
		"size":     func(c *jetstream.StreamConfig) { c.MaxBytes = 9 << 30 },
		"any size": func(c *jetstream.StreamConfig) { c.MaxBytes = -1 },
		"another scope": func(c *jetstream.StreamConfig) {
			c.Subjects = append(c.Subjects, "sync.reputation", "sync.reputation.*")
		},
		"duplicates":      func(c *jetstream.StreamConfig) { c.Duplicates = time.Minute },
		"compression":     func(c *jetstream.StreamConfig) { c.Compression = jetstream.S2Compression },
		"metadata":        func(c *jetstream.StreamConfig) { c.Metadata = map[string]string{"owner": "us"} },
		"denied deletion": func(c *jetstream.StreamConfig) { c.DenyDelete = true },
		"republishing": func(c *jetstream.StreamConfig) {
			c.RePublish = &jetstream.RePublish{Source: "sync.>", Destination: "copy.>"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newEmptyRig(t)
			have := changes()
			more(&have)
			_, err := r.js.CreateStream(t.Context(), have)
			r.must(err)

			for range 2 {
				r.must(r.bus.Ensure(t.Context(), seldom))
				equal(t, "SYNC", r.config("SYNC"), have)
			}
		})
	}
}

// The dead letters and the mirror keep the room that an operator has given them, too.
func TestEnsureShrinksNoStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	want := make(map[string]int64)
	for name, size := range map[string]int64{bus.StreamClock: 32 << 20, bus.StreamDead: 2 << 30, bus.StreamMirror: -1} {
		cfg := r.config(name)
		cfg.MaxBytes = size
		_, err := r.js.UpdateStream(t.Context(), cfg)
		r.must(err)
		want[name] = size
	}

	r.must(r.bus.Ensure(t.Context(), seldom))

	got := make(map[string]int64)
	for name := range want {
		got[name] = r.config(name).MaxBytes
	}
	equal(t, "sizes", got, want)
}

// A stream that could lose events is left alone, and the error says why.
func TestEnsureRefusesAnUnsafeStream(t *testing.T) {
	t.Parallel()
	for setting, spoil := range map[string]func(*jetstream.StreamConfig){
		"storage":              func(c *jetstream.StreamConfig) { c.Storage, c.MaxBytes = jetstream.MemoryStorage, 1<<20 },
		"discard old":          func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"retention":            func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"max_msgs_per_subject": func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 },
		"max_msgs 1000":        func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 },
		"rollup":               func(c *jetstream.StreamConfig) { c.AllowRollup = true },
		"no_ack":               func(c *jetstream.StreamConfig) { c.NoAck = true },
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			r := newEmptyRig(t)
			have := changes()
			spoil(&have)
			_, err := r.js.CreateStream(t.Context(), have)
			r.must(err)
			before := r.shape()

			err = r.bus.Ensure(t.Context(), bus.Topology{MaxAge: 365 * 24 * time.Hour})

			if !errors.Is(err, bus.ErrUnsafe) || !strings.Contains(err.Error(), setting) || !strings.Contains(err.Error(), "SYNC") {
				t.Errorf("got %v, want ErrUnsafe that names the stream and %q", err, setting)
			}
			equal(t, "topology", r.shape(), before)
		})
	}
}

func TestUnsafeSettingsAreAllNamed(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	have := changes()
	have.Storage, have.MaxBytes = jetstream.MemoryStorage, 1<<20
	have.Discard, have.AllowRollup = jetstream.DiscardOld, true
	_, err := r.js.CreateStream(t.Context(), have)
	r.must(err)

	err = r.bus.Ensure(t.Context(), seldom)

	for _, setting := range []string{"storage", "discard old", "rollup"} {
		if err == nil || !strings.Contains(err.Error(), setting) {
			t.Errorf("%v does not name %q", err, setting)
		}
	}
}

// A publisher that knows only the scope is heard like the others, through the
// same consumer.
func TestBareSubjectIsStoredBesideTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.put("sync.vitals", "bare")
	r.put("sync.vitals.42", "named")
	r.put("sync.inventory", "another scope")

	got := make(map[string]string)
	for _, msg := range r.take(r.source(events.ScopeVitals), 2) {
		got[string(msg.Data())] = msg.Subject()
	}

	equal(t, "subjects", got, map[string]string{"bare": "sync.vitals.any", "named": "sync.vitals.42"})
	if left := r.saver(events.ScopeVitals).NumPending; left != 0 {
		t.Errorf("%d more wait", left)
	}
}

func TestPingSaysWhetherTheStreamIsThere(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	isUnavailable(t, r.bus.Ping(t.Context()))

	r.must(r.bus.Ensure(t.Context(), seldom))
	r.must(r.bus.Ping(t.Context()))

	stop(t, r.server)
	within(t, "an answer", func() { isUnavailable(t, r.bus.Ping(t.Context())) })
}

// What is larger than an event and its headers is refused before it is stored.
func TestStreamTakesNothingLargerThanAnEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	publish := func(header, body int) error {
		msg := nats.NewMsg("sync.vitals.42")
		msg.Header.Set("Savepoint-Request", strings.Repeat("x", header))
		msg.Data = bytes.Repeat([]byte("x"), body)
		_, err := r.js.PublishMsg(t.Context(), msg)
		return err
	}

	r.must(publish(63<<10, events.MaxBytes))

	if err := publish(0, 2*events.MaxBytes+1); err == nil {
		t.Error("what is twice as large as an event is stored")
	}
}

func TestEnsureLimitsTheSizeOfWhatIsStored(t *testing.T) {
	t.Parallel()
	for have, want := range map[int32]int32{
		-1: 512 << 10, 8 << 20: 512 << 10, 256 << 10: 512 << 10, // which refuses an event with headers
		400 << 10: 400 << 10,
	} {
		r := newEmptyRig(t)
		cfg := changes()
		cfg.MaxMsgSize = have
		_, err := r.js.CreateStream(t.Context(), cfg)
		r.must(err)

		r.must(r.bus.Ensure(t.Context(), seldom))

		cfg.MaxMsgSize = want
		equal(t, "SYNC", r.config("SYNC"), cfg)
	}
}

// Changing the interval replaces the schedule; there is never a second one.
func TestTickIsArmedAnewWhenItsIntervalChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	equal(t, "schedule", r.schedule(), []string{"@every 1h0m0s", "sync.cleanup"})

	r.must(r.bus.Ensure(t.Context(), bus.Topology{CleanupEvery: time.Second}))

	equal(t, "schedule", r.schedule(), []string{"@every 1s", "sync.cleanup"})
	source := r.source(events.ScopeCleanup)
	for range 2 {
		r.ack(r.take(source, 1)...)
	}

	r.must(r.bus.Ensure(t.Context(), seldom))
	equal(t, "schedule", r.schedule(), []string{"@every 1h0m0s", "sync.cleanup"})
	stream, err := r.js.Stream(t.Context(), bus.StreamClock)
	r.must(err)
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter("clock.>"))
	r.must(err)
	equal(t, "schedules", info.State.Subjects, map[string]uint64{"clock.cleanup": 1})
}

// Ticks that nobody takes are of no use later.
func TestTicksDoNotPileUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, bus.Topology{CleanupEvery: time.Second})
	stacktest.Eventually(t, "a second tick", func() bool { return r.stream(bus.StreamClock).State.LastSeq >= 3 })

	batch, err := r.source(events.ScopeCleanup).FetchNoWait(100)
	r.must(err)
	var ticks []jetstream.Msg
	for tick := range batch.Messages() {
		ticks = append(ticks, tick)
	}
	if len(ticks) != 1 {
		t.Errorf("%d ticks at once", len(ticks))
	}
	r.ack(ticks...)
}

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

// A process that does not ask for replicas takes away none that are there.
func TestEnsureTakesNoReplicaAway(t *testing.T) {
	t.Parallel()
	r, servers := newClusterRig(t)

	r.must(r.bus.Ensure(t.Context(), seldom))

	for _, name := range []string{bus.StreamChanges, bus.StreamClock, bus.StreamDead, bus.StreamMirror} {
		if n := r.config(name).Replicas; n != len(servers) {
			t.Errorf("%s: %d replicas, want %d", name, n, len(servers))
		}
	}
}
