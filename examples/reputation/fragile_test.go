package reputation_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/examples/reputation"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
)

// fragile is a scope whose decoder was not thought through.
const fragile events.Scope = "fragile"

func init() {
	events.Define(fragile, func(raw []byte) (events.Data, error) {
		return reputation.Standing{Faction: string(raw[len(`{"faction":"`) : len(raw)-100])}, nil
	})
}

// nothing saves what it gets nowhere.
type nothing struct{}

func (nothing) Scope() events.Scope                                       { return fragile }
func (nothing) Save(context.Context, pgx.Tx, []events.StateChanged) error { return nil }

// An event over which a game's own decoder panics is a bad one: a saver that ended at it
// would end at it at each start.
func TestPanicOfADecoderCostsItsEventAlone(t *testing.T) {
	t.Parallel()
	stream, source := newSource(t, fragile)
	now := events.NextVersion(0, time.Now())
	short := events.New(42, now, events.CauseAction, uuid.Nil, fragile, reputation.Standing{Faction: "guild"})
	if err := stream.Publish(t.Context(), short); err != nil {
		t.Fatal(err)
	}

	worker := &savers.Worker{Saver: nothing{}, Source: source, DB: newPool(t), Dead: stream, Log: slog.New(slog.DiscardHandler)}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- worker.Run(ctx) }()

	stacktest.Eventually(t, "it is kept aside", func() bool {
		n, err := stream.DeadLetters(t.Context(), fragile)
		backlog, failed := stream.Backlog(t.Context(), fragile)
		return err == nil && failed == nil && n == 1 && backlog.Unsaved() == 0
	})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
