package gateway_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// most is how many characters a gateway joins at once.
const most = 256

// fullCold is a slow PostgreSQL that answers so many questions at once, and no more.
type fullCold struct {
	gateway.Cold
	reading atomic.Int64
}

func (c *fullCold) Load(ctx context.Context, char events.CharID) (*game.State, error) {
	defer c.reading.Add(-1)
	if c.reading.Add(1) > most {
		return nil, events.Unavailable(events.PostgreSQL, errors.New("too many questions"))
	}
	time.Sleep(200 * time.Millisecond) // so that others come meanwhile
	return c.Cold.Load(ctx, char)
}

// Where all come at once, as after a loss of Redis, they are joined a few at a time, blind
// writes as well: were all begun, none would end before its deadline.
func TestLoginRushGetsInAFewAtATime(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	at := gateway.New(gateway.Config{
		Hot: s.hot, Stream: s.stream, Mirror: s.bus.Mirror(), Cold: &fullCold{Cold: s.cold}, Log: quiet,
		Fence: time.Millisecond, ActionTimeout: time.Minute,
	})
	t.Cleanup(at.Close)

	var group sync.WaitGroup
	for char := events.CharID(1); char <= 4*most; char++ {
		group.Go(func() {
			var err error
			if char%2 == 0 {
				_, err = at.ChangeItems(t.Context(), char, []game.ItemDelta{{ItemID: "potion", Delta: 1}}, gateway.Options{})
			} else {
				_, err = at.SetVitals(t.Context(), char, events.Vitals{HP: 1, Location: events.Location{Zone: "harbor"}}, gateway.Options{})
			}
			if err != nil {
				t.Errorf("character %d: %v", char, err)
			}
		})
	}
	group.Wait()
}

// stuckCold is a PostgreSQL that takes questions and does not answer.
type stuckCold struct {
	gateway.Cold
	asked chan struct{}
}

func (c *stuckCold) Load(ctx context.Context, _ events.CharID) (*game.State, error) {
	select {
	case c.asked <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil, events.Unavailable(events.PostgreSQL, ctx.Err())
}

// Joins that hang keep no blind write out, however many there are.
func TestBlindWriteIsTakenWhileAllJoinsHang(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	cold := &stuckCold{Cold: s.cold, asked: make(chan struct{}, most)}
	reg := prometheus.NewRegistry()
	at := gateway.New(gateway.Config{
		Metrics: gateway.NewMetrics(reg),
		Hot:     s.hot, Stream: s.stream, Mirror: s.bus.Mirror(), Cold: cold, Log: quiet,
		Fence: time.Millisecond, ActionTimeout: 20 * time.Second,
	})
	t.Cleanup(at.Close)
	ctx, giveUp := context.WithCancel(t.Context())
	defer giveUp()
	var group sync.WaitGroup
	for char := events.CharID(1); char <= most; char++ {
		group.Go(func() { _, _ = at.Character(ctx, char) })
	}
	for range most {
		<-cold.asked
	}

	if _, err := at.SetVitals(t.Context(), 1000, events.Vitals{HP: 1, Location: events.Location{Zone: "harbor"}}, gateway.Options{}); err != nil {
		t.Error(err)
	}
	if refused := counter(t, reg, "savepoint_gateway_joins_refused_total"); refused != 1 {
		t.Errorf("%g joins are counted as refused", refused)
	}
	giveUp()
	group.Wait()
}

// panickyHot has a bug in what a join commits, until it is mended.
type panickyHot struct {
	gateway.Hot
	mended atomic.Bool
}

func (h *panickyHot) CommitJoin(ctx context.Context, loaded, joined *game.State, with game.Joining) error {
	if !h.mended.Load() {
		panic("a bug")
	}
	return h.Hot.CommitJoin(ctx, loaded, joined, with)
}

// A bug that costs requests keeps nobody else out, however many it costs.
func TestJoinThatPanicsGivesItsPlaceBack(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	buggy := &panickyHot{Hot: s.hot}
	at := gateway.New(gateway.Config{
		Hot: buggy, Stream: s.stream, Mirror: s.bus.Mirror(), Cold: s.cold, Log: quiet, Fence: time.Millisecond,
	})
	t.Cleanup(at.Close)
	vitals := events.Vitals{HP: 1, Location: events.Location{Zone: "harbor"}}
	for char := events.CharID(1); char <= most; char++ {
		func() {
			defer func() { _ = recover() }()
			_, err := at.SetVitals(t.Context(), char, vitals, gateway.Options{})
			t.Errorf("character %d: %v", char, err)
		}()
	}
	buggy.mended.Store(true)
	if _, err := at.ChangeItems(t.Context(), 1000, []game.ItemDelta{{ItemID: "potion", Delta: 1}}, gateway.Options{}); err != nil {
		t.Error(err)
	}
}

// counter is what a counter without labels has counted.
func counter(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.Metric[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
