package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// The streams and the bucket.
const (
	StreamChanges = "SYNC"       // sync.<scope>.<char_id>: what changed
	StreamClock   = "SYNC_CLOCK" // the sweeper's schedule and its ticks
	StreamDead    = "SYNC_DLQ"   // dlq.<scope>.<char_id>: what cannot be saved
	BucketMirror  = "AC"         // the active contexts by character

	StreamMirror    = "KV_" + BucketMirror // the stream under the bucket
	SubjectSchedule = "clock.cleanup"      // where the sweeper's schedule is armed
)

// Topology is what the deployment decides about the streams; the rest is fixed.
type Topology struct {
	// Replicas of each stream. Defaults to 1; use 3 on a cluster.
	Replicas int
	// MaxAge is how long events are kept for replays. Defaults to 7 days.
	MaxAge time.Duration
	// MaxBytes is how large the stream of changes may grow, counted without
	// compression. When it is full, publishing fails loudly and gameplay goes
	// on at durability "hot". Defaults to 8 GiB.
	MaxBytes int64
	// AckWait is how long a saver may hold an event without a sign of life
	// before another gets it. Defaults to 10 s.
	AckWait time.Duration
	// CleanupEvery is the time between two sweeps, in whole seconds, at least one: that is
	// what the server's schedules can do. Defaults to 10 s.
	CleanupEvery time.Duration
}

func (t Topology) withDefaults() Topology {
	t.MaxAge = cmp.Or(max(t.MaxAge, 0), 7*24*time.Hour)
	t.AckWait = cmp.Or(max(t.AckWait, 0), 10*time.Second)
	t.CleanupEvery = max(cmp.Or(max(t.CleanupEvery, 0), 10*time.Second).Round(time.Second), time.Second)
	t.Replicas = max(t.Replicas, 1)
	t.MaxBytes = cmp.Or(max(t.MaxBytes, 0), 8<<30)
	return t
}

// MaxAckPending is how many events of a scope savers, or a replay, may hold at once. One
// saver keeps busy with 20,000 (a fetch of 5,000, a transaction of as many under way in each of two
// lanes, and one that waits), and may hold up to three times as many small ones. More
// savers hold less each. The default of 1,000 would stall one.
// Servers may have a limit of their own, so it must not be generous: 100,000 is
// what operators set.
const MaxAckPending = 80_000

const (
	// largestEvent is an event with its headers, of which the server takes 64 KiB.
	largestEvent = events.MaxBytes + 64<<10
	// mostStored is the largest message of the stream of changes. What is larger is no
	// event, and might not fit into a dead letter.
	mostStored = 512 << 10
)

// ErrUnsafe is wrapped by Ensure's error where a stream exists with a setting
// that would lose events. Ensure changes nothing then.
var ErrUnsafe = errors.New("existing stream would lose events")

// Ensure creates the streams, the consumers, the bucket and the schedule, or
// brings them up to date. It never takes away size or replicas that a stream already
// has, nor subjects or age of the stream of changes. Any number of processes may call it
// at once.
func (b *Bus) Ensure(ctx context.Context, t Topology) error {
	t = t.withDefaults()
	for _, step := range []func(context.Context, Topology) error{
		b.ensureChanges, b.ensureClock, b.ensureDead, b.ensureMirror, b.ensureConsumers, b.ensureSchedule,
	} {
		if err := step(ctx, t); err != nil {
			return fmt.Errorf("nats topology: %w", err)
		}
	}
	return nil
}

func (b *Bus) ensureChanges(ctx context.Context, t Topology) error {
	cfg := jetstream.StreamConfig{
		Name: StreamChanges, Description: "Savepoint: what changed, by scope and character",
		Subjects: changeSubjects(),
		// A publisher that names only the scope lands beside the others, so
		// each consumer has one filter: two would be a hundred times slower.
		SubjectTransform: &jetstream.SubjectTransformConfig{
			Source: "sync.*", Destination: "sync.{{wildcard(1)}}." + events.NoCharacter,
		},
		Storage: jetstream.FileStorage, Retention: jetstream.LimitsPolicy, Replicas: t.Replicas,
		Discard: jetstream.DiscardNew, // the default would drop acknowledged events
		MaxAge:  t.MaxAge, MaxBytes: t.MaxBytes, MaxMsgSize: mostStored,
		AllowDirect: true, Duplicates: time.Second, // nothing here needs the window
	}
	stream, err := b.js.Stream(ctx, StreamChanges)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		_, err = b.js.CreateStream(ctx, cfg)
		return named(StreamChanges, err)
	}
	if err != nil {
		return named(StreamChanges, Unavailable(err))
	}
	if err := mergeChanges(&cfg, stream.CachedInfo().Config); err != nil {
		return err
	}
	_, err = b.js.UpdateStream(ctx, cfg)
	return named(StreamChanges, err)
}

func changeSubjects() (subjects []string) {
	for _, scope := range events.Scopes() {
		subjects = append(subjects, events.ScopeSubject(scope), events.ScopeSubject(scope)+".*")
	}
	return subjects
}

// mergeChanges keeps what an existing stream has more of, and refuses where it
// could lose events.
func mergeChanges(want *jetstream.StreamConfig, have jetstream.StreamConfig) error {
	if problems := unsafeSettings(have); len(problems) > 0 {
		return fmt.Errorf("%w: stream %s has %s; move its events away and delete it, or correct it",
			ErrUnsafe, have.Name, strings.Join(problems, ", "))
	}
	for _, subject := range have.Subjects {
		if !slices.Contains(want.Subjects, subject) {
			want.Subjects = append(want.Subjects, subject)
		}
	}
	if have.MaxAge == 0 || have.MaxAge > want.MaxAge {
		want.MaxAge = have.MaxAge
	}
	keepLarger(want, have)
	// A smaller limit would refuse events for ever, a larger one is of use to none.
	if have.MaxMsgSize >= largestEvent && have.MaxMsgSize < mostStored {
		want.MaxMsgSize = have.MaxMsgSize
	}
	want.RePublish, want.Placement, want.Metadata = have.RePublish, have.Placement, have.Metadata
	want.Duplicates, want.Compression = have.Duplicates, have.Compression
	want.DenyDelete, want.DenyPurge = have.DenyDelete, have.DenyPurge
	return nil
}

// keepLarger keeps the size and the replicas that an existing stream has more of.
func keepLarger(want *jetstream.StreamConfig, have jetstream.StreamConfig) {
	if have.MaxBytes < 1 || have.MaxBytes > want.MaxBytes {
		want.MaxBytes = have.MaxBytes
	}
	want.Replicas = max(want.Replicas, have.Replicas)
}

// larger is how large a stream has to be, and with how many replicas: as asked for, or
// as it is where that is more.
func (b *Bus) larger(ctx context.Context, name string, maxBytes int64, replicas int) (int64, int, error) {
	stream, err := b.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return maxBytes, replicas, nil
	}
	if err != nil {
		return 0, 0, named(name, Unavailable(err))
	}
	want := jetstream.StreamConfig{MaxBytes: maxBytes, Replicas: replicas}
	keepLarger(&want, stream.CachedInfo().Config)
	return want.MaxBytes, want.Replicas, nil
}

func unsafeSettings(have jetstream.StreamConfig) (problems []string) {
	if have.Retention != jetstream.LimitsPolicy {
		problems = append(problems, fmt.Sprintf("retention %q (must be limits: replay is the recovery)", have.Retention))
	}
	if have.Storage != jetstream.FileStorage {
		problems = append(problems, fmt.Sprintf("storage %q (must be file)", have.Storage))
	}
	for _, s := range Dropping(have) {
		problems = append(problems, s.Have+" ("+s.Why+")")
	}
	return problems
}

// A Setting is one that a stream of changes may not have.
type Setting struct{ Have, Why string }

// Dropping lists the settings by which a stream of changes loses unsaved events by itself.
func Dropping(c jetstream.StreamConfig) (settings []Setting) {
	for _, check := range []struct {
		bad bool
		Setting
	}{
		{c.Discard != jetstream.DiscardNew, Setting{"discard old", "must be new: a full stream would drop acknowledged events"}},
		{c.MaxMsgs > 0, Setting{fmt.Sprintf("max_msgs %d", c.MaxMsgs), "must be unlimited"}},
		{c.MaxMsgsPerSubject > 0, Setting{fmt.Sprintf("max_msgs_per_subject %d", c.MaxMsgsPerSubject), "must be unlimited"}},
		{c.AllowRollup, Setting{"rollup allowed", "any publisher could empty it"}},
		{c.NoAck, Setting{"no_ack", "publishers could not know what is stored"}},
	} {
		if check.bad {
			settings = append(settings, check.Setting)
		}
	}
	return settings
}

func (b *Bus) ensureClock(ctx context.Context, t Topology) error {
	// Schedules need a stream of their own: they rule out discard-new and let
	// any publisher roll the stream up.
	size, replicas, err := b.larger(ctx, StreamClock, 16<<20, t.Replicas)
	if err != nil {
		return err
	}
	_, err = b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: StreamClock, Description: "Savepoint: the sweeper's schedule and ticks",
		Subjects: []string{events.ScopeSubject(events.ScopeCleanup), "clock.>"},
		Storage:  jetstream.FileStorage, Replicas: replicas, MaxBytes: size,
		MaxMsgsPerSubject: 1, // ticks nobody took do not pile up
		AllowMsgSchedules: true, AllowDirect: true,
	})
	return named(StreamClock, err)
}

func (b *Bus) ensureDead(ctx context.Context, t Topology) error {
	size, replicas, err := b.larger(ctx, StreamDead, 1<<30, t.Replicas)
	if err != nil {
		return err
	}
	_, err = b.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: StreamDead, Description: "Savepoint: events that cannot be saved, with their reason",
		Subjects: []string{"dlq.>"}, Storage: jetstream.FileStorage, Replicas: replicas,
		Discard: jetstream.DiscardNew, MaxBytes: size, AllowDirect: true,
	})
	return named(StreamDead, err)
}

func (b *Bus) ensureMirror(ctx context.Context, t Topology) error {
	size, replicas, err := b.larger(ctx, StreamMirror, 1<<30, t.Replicas)
	if err != nil {
		return err
	}
	_, err = b.js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: BucketMirror, Description: "Savepoint: the active contexts of each character, a mirror of Redis",
		History: 1, Storage: jetstream.FileStorage, Replicas: replicas, MaxBytes: size,
	})
	return named("bucket "+BucketMirror, err)
}

func (b *Bus) ensureConsumers(ctx context.Context, t Topology) error {
	for _, scope := range events.Scopes() {
		if err := b.ensureConsumer(ctx, t, StreamChanges, scope, events.ScopeSubject(scope)+".*"); err != nil {
			return err
		}
	}
	return b.ensureConsumer(ctx, t, StreamClock, events.ScopeCleanup, events.ScopeSubject(events.ScopeCleanup))
}

func (b *Bus) ensureConsumer(ctx context.Context, t Topology, stream string, scope events.Scope, filter string) error {
	_, err := b.js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: ConsumerName(scope), FilterSubject: filter,
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: t.AckWait, MaxAckPending: MaxAckPending,
		MaxDeliver: -1, // an outage must not turn good events into dead ones
	})
	return named("consumer "+ConsumerName(scope), err)
}

const consumerPrefix = "saver-"

// ConsumerName is the durable consumer that the savers of a scope share.
func ConsumerName(scope events.Scope) string { return consumerPrefix + string(scope) }

// StreamOf is the stream that has the events of a scope.
func StreamOf(scope events.Scope) string {
	if scope == events.ScopeCleanup {
		return StreamClock
	}
	return StreamChanges
}

// replayPrefix keeps the consumers of replays apart from those of savers, which
// say what is saved.
const replayPrefix = "replay-"

// ReplayConsumer is the durable consumer of a replay of a scope.
func ReplayConsumer(name string, scope events.Scope) string {
	return replayPrefix + name + "-" + string(scope)
}

// ReaderPrefix begins the names of a consumer's readers, from which savers take its
// backlog together: see package intake.
func ReaderPrefix(consumer string) string { return "catch-up-" + consumer + "-" }

// Readers names those that a consumer has.
func Readers(ctx context.Context, stream jetstream.Stream, consumer string) ([]string, error) {
	return consumerNames(ctx, stream, ReaderPrefix(consumer))
}

// consumerNames lists the consumers of a stream whose names begin so. What else there
// is to know of them has to be asked of each: on a cluster, a list with all of it takes
// four seconds where a consumer goes meanwhile, and readers do.
func consumerNames(ctx context.Context, stream jetstream.Stream, prefix string) (names []string, err error) {
	lister := stream.ConsumerNames(ctx)
	for name := range lister.Name() {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	return names, lister.Err()
}

// ensureSchedule arms the sweeper's tick, unless it is armed like this already.
func (b *Bus) ensureSchedule(ctx context.Context, t Topology) error {
	stream, err := b.js.Stream(ctx, StreamClock)
	if err != nil {
		return named(StreamClock, Unavailable(err))
	}
	every := "@every " + t.CleanupEvery.String()
	armed, err := stream.GetLastMsgForSubject(ctx, SubjectSchedule)
	if err == nil && armed.Header.Get("Nats-Schedule") == every {
		return nil
	}
	msg := nats.NewMsg(SubjectSchedule)
	msg.Header.Set("Nats-Schedule", every)
	msg.Header.Set("Nats-Schedule-Target", events.ScopeSubject(events.ScopeCleanup))
	_, err = b.js.PublishMsg(ctx, msg)
	return named("schedule "+SubjectSchedule, err)
}

func named(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}
