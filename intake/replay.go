package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// Replay says which of the stored events to hand out once more. The zero value
// means all of a scope.
type Replay struct {
	// Name tells replays apart: one with the same name goes on where the last
	// one stopped. Defaults to "default".
	Name  string
	From  uint64        // first sequence; 0 for the oldest
	Since time.Time     // first time; zero for the oldest
	Until time.Time     // only what was stored before; zero for all. Its caller sees to it
	Char  events.CharID // only this character's; 0 for all
}

// ErrOtherReplay is returned where a replay of that name was stopped that is about other
// events: to go on with it would leave out some.
var ErrOtherReplay = errors.New("a replay of this name was stopped that has other limits")

// limitsKey is where a replay's consumer has its limits in its metadata.
const limitsKey = "savepoint-limits"

// limits says which events a replay is about, in the words of its flags.
func (r Replay) limits() string {
	var limits []string
	add := func(is bool, flag string, value any) {
		if is {
			limits = append(limits, fmt.Sprintf("--%s %v", flag, value))
		}
	}
	add(r.From > 0, "from-sequence", r.From)
	add(!r.Since.IsZero(), "since", r.Since.UTC().Format(time.RFC3339Nano))
	add(!r.Until.IsZero(), "until", r.Until.UTC().Format(time.RFC3339Nano))
	add(r.Char != 0, "char", r.Char)
	if len(limits) == 0 {
		return "none"
	}
	return strings.Join(limits, " ")
}

// check returns an error where a consumer that is there has other limits.
func (r Replay) check(there *jetstream.ConsumerInfo) error {
	theirs, ok := there.Config.Metadata[limitsKey]
	if !ok { // an older build made it, which kept no end
		r.Until = time.Time{}
		theirs = limitsOf(&there.Config)
	}
	if ours := r.limits(); theirs != ours {
		return fmt.Errorf("%w: %s, and now %s; begin anew with --fresh, or take another --name", ErrOtherReplay, theirs, ours)
	}
	return nil
}

// limitsOf reads the limits of a consumer that does not name them.
func limitsOf(cfg *jetstream.ConsumerConfig) string {
	r := Replay{From: cfg.OptStartSeq}
	if cfg.OptStartTime != nil {
		r.Since = *cfg.OptStartTime
	}
	for _, subject := range cfg.FilterSubjects {
		if _, char, err := events.ParseSubject(subject); err == nil {
			r.Char = max(r.Char, char)
		}
	}
	return r.limits()
}

func (r Replay) consumer(scope events.Scope) string {
	return bus.ReplayConsumer(cmp.Or(r.Name, "default"), scope)
}

// OpenReplay returns a source of the stored events of a scope, while the savers
// of the day go on with the live ones. The error wraps ErrOtherReplay where one of that
// name was stopped with other limits.
func (in *Intake) OpenReplay(ctx context.Context, scope events.Scope, r Replay) (*Source, error) {
	consumer, err := in.stopped(ctx, scope, r)
	if err == nil && consumer == nil {
		consumer, err = in.js.CreateConsumer(ctx, bus.StreamChanges, r.config(scope))
		err = bus.Unavailable(err)
	}
	if err != nil {
		return nil, fmt.Errorf("replay of %s: %w", scope, err)
	}
	return in.source(consumer, scope), nil
}

// CheckReplay returns the error that OpenReplay would, where it is ErrOtherReplay, and
// opens nothing.
func (in *Intake) CheckReplay(ctx context.Context, scope events.Scope, r Replay) error {
	if _, err := in.stopped(ctx, scope, r); err != nil {
		return fmt.Errorf("replay of %s: %w", scope, err)
	}
	return nil
}

// stopped finds the consumer of a replay that was stopped; nil for none.
func (in *Intake) stopped(ctx context.Context, scope events.Scope, r Replay) (jetstream.Consumer, error) {
	consumer, err := in.js.Consumer(ctx, bus.StreamChanges, r.consumer(scope))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	return consumer, r.check(consumer.CachedInfo())
}

func (r Replay) config(scope events.Scope) jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Durable: r.consumer(scope), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: 30 * time.Second, MaxAckPending: bus.MaxAckPending, MaxDeliver: -1,
		InactiveThreshold: 7 * 24 * time.Hour, // one that is never resumed goes by itself
		Metadata:          map[string]string{limitsKey: r.limits()},
	}
	cfg.FilterSubject = events.ScopeSubject(scope) + ".*"
	if r.Char != 0 {
		cfg.FilterSubject = ""
		cfg.FilterSubjects = []string{events.Subject(scope, r.Char), events.ScopeSubject(scope) + "." + events.NoCharacter}
	}
	switch {
	case r.From > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.From
	case !r.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.Since
	}
	return cfg
}

// CloseReplay forgets how far a replay has come; the next one of its name
// begins anew.
func (in *Intake) CloseReplay(ctx context.Context, scope events.Scope, r Replay) error {
	err := in.js.DeleteConsumer(ctx, bus.StreamChanges, r.consumer(scope))
	if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("end replay of %s: %w", scope, bus.Unavailable(err))
	}
	return nil
}
