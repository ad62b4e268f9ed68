package gateway_test

import (
	"context"
	"sync"
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
		at := gateway.New(gateway.Config{
			Hot: s.hot, Stream: c.stream, Mirror: s.bus.Mirror(), Cold: c.cold, Log: quiet,
			ActionTimeout: 2 * time.Second, PublishTimeout: 5 * time.Second, Fence: time.Millisecond,
		})
		t.Cleanup(at.Close)
		if _, err := at.SetVitals(t.Context(), 8, events.Vitals{HP: 80, Location: events.Location{Zone: "harbor"}}, gateway.Options{}); err != nil {
			t.Errorf("%s hangs: %v", name, err)
		}
	}
}

// lateHot is the real hot state, whose first commit takes its time.
type lateHot struct {
	gateway.Hot
	wait func()
}

func (h lateHot) Commit(ctx context.Context, c *game.Change, r game.Request) error {
	h.wait()
	return h.Hot.Commit(ctx, c, r)
}

// A Redis that comes back answers late, and has the character to be joined: vitals have
// the rest of their time for it.
func TestVitalsAreTakenWhereRedisAnswersLate(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	late := s.service()
	late.ActionTimeout = 2 * time.Second
	late = gateway.New(late.Config)
	late.Hot = lateHot{s.hot, sync.OnceFunc(func() { time.Sleep(late.ActionTimeout * 6 / 10) })}
	if _, err := late.SetVitals(t.Context(), 8, events.Vitals{HP: 80, Location: events.Location{Zone: "harbor"}}, gateway.Options{}); err != nil {
		t.Error(err)
	}
}

// Nor does the fence count as time for the join, where it is long.
func TestVitalsWaitForALongFence(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	at := s.service()
	at.ActionTimeout, at.Fence = 2*time.Second, 1200*time.Millisecond // of a publish timeout of 600 ms
	at = gateway.New(at.Config)
	s.flush()
	if _, err := at.SetVitals(t.Context(), 8, events.Vitals{HP: 80, Location: events.Location{Zone: "harbor"}}, gateway.Options{}); err != nil {
		t.Error(err)
	}
}
