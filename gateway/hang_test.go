package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// hangingCold is a PostgreSQL that takes questions and never answers.
type hangingCold struct{ gateway.Cold }

func (hangingCold) Load(ctx context.Context, _ events.CharID) (*game.State, error) {
	<-ctx.Done()
	return nil, events.Unavailable("postgresql", ctx.Err())
}

// hangingStream is a NATS that does so.
type hangingStream struct{ gateway.Stream }

func (hangingStream) Tails(ctx context.Context) (func(context.Context, events.CharID) (game.Tail, error), error) {
	<-ctx.Done()
	return nil, events.Unavailable("nats", ctx.Err())
}

// Vitals depend on nothing, so whoever comes into Redis may move though a server hangs:
// what it is waited for leaves time to commit.
func TestVitalsAreTakenWhileAServerHangs(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for name, c := range map[string]struct {
		stream gateway.Stream
		cold   gateway.Cold
	}{
		"postgresql": {s.stream, hangingCold{s.cold}},
		"nats":       {hangingStream{s.stream}, s.cold},
		"both":       {hangingStream{s.stream}, hangingCold{s.cold}},
	} {
		at := gateway.Service{
			Hot: s.hot, Stream: c.stream, Mirror: s.bus.Mirror(), Cold: c.cold, Log: quiet,
			ActionTimeout: 2 * time.Second, PublishTimeout: 5 * time.Second, Fence: time.Millisecond,
		}.WithDefaults()
		t.Cleanup(at.Close)
		if _, err := at.SetVitals(t.Context(), 8, events.Vitals{HP: 80, Location: events.Location{Zone: "harbor"}}, gateway.Options{}); err != nil {
			t.Errorf("%s hangs: %v", name, err)
		}
	}
}
