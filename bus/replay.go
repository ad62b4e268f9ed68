package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

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
	Char  events.CharID // only this character's; 0 for all
}

// replayPrefix keeps the consumers of replays apart from those of savers, which
// say what is saved.
const replayPrefix = "replay-"

func (r Replay) consumer(scope events.Scope) string {
	name := r.Name
	if name == "" {
		name = "default"
	}
	return replayPrefix + name + "-" + string(scope)
}

// OpenReplay returns a source of the stored events of a scope, while the savers
// of the day go on with the live ones.
func (b *Bus) OpenReplay(ctx context.Context, scope events.Scope, r Replay) (*Source, error) {
	cfg := jetstream.ConsumerConfig{
		Durable: r.consumer(scope), AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: 30 * time.Second, MaxAckPending: maxAckPending, MaxDeliver: -1,
		InactiveThreshold: 7 * 24 * time.Hour, // one that is never resumed goes by itself
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
	consumer, err := b.js.Consumer(ctx, StreamChanges, cfg.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = b.js.CreateConsumer(ctx, StreamChanges, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("replay of %s: %w", scope, unavailable(err))
	}
	return b.source(consumer, scope), nil
}

// Left returns how many events of the source are not settled, and the sequence
// up to which all are.
func (s *Source) Left(ctx context.Context) (left, settled uint64, err error) {
	info, err := s.consumer.Info(ctx)
	if err != nil {
		return 0, 0, s.wrap(err)
	}
	return info.NumPending + uint64(info.NumAckPending), info.AckFloor.Stream, nil
}

// CloseReplay forgets how far a replay has come; the next one of its name
// begins anew.
func (b *Bus) CloseReplay(ctx context.Context, scope events.Scope, r Replay) error {
	err := b.js.DeleteConsumer(ctx, StreamChanges, r.consumer(scope))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil
	}
	return named("end replay of "+string(scope), unavailable(err))
}

// LastSequence is the newest sequence of the stream of changes: as many events as
// were ever published.
func (b *Bus) LastSequence(ctx context.Context) (uint64, error) {
	stream, err := b.js.Stream(ctx, StreamChanges)
	if err != nil {
		return 0, fmt.Errorf("last sequence: %w", unavailable(err))
	}
	return stream.CachedInfo().State.LastSeq, nil
}
