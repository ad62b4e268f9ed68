package gateway_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// slowHot is the real Redis, with something that happens after each commit and
// before the gateway hears of it.
type slowHot struct {
	gateway.Hot
	committed func()
}

func (h *slowHot) Commit(ctx context.Context, c *game.Change, r game.Request) error {
	err := h.Hot.Commit(ctx, c, r)
	if err == nil {
		h.committed()
	}
	return err
}

// slowStream is the real stream, with something that happens before each publish
// and after each look at the tail. Each may be nil.
type slowStream struct {
	gateway.Stream
	sending func()
	looked  func()
}

func (s *slowStream) Send(origin game.Origin, batch ...events.StateChanged) (func(context.Context) error, error) {
	if s.sending != nil {
		s.sending()
	}
	return s.Stream.Send(origin, batch...)
}

func (s *slowStream) Tails(ctx context.Context) (func(context.Context, events.CharID) (game.Tail, error), error) {
	tailOf, err := s.Stream.Tails(ctx)
	if err != nil || s.looked == nil {
		return tailOf, err
	}
	return func(ctx context.Context, char events.CharID) (game.Tail, error) {
		tail, err := tailOf(ctx, char)
		s.looked()
		return tail, err
	}, nil
}

// fenced is a gateway that publishes no later than the fence of all is long.
func (s *system) fenced(fence time.Duration) *gateway.Service {
	service := s.service()
	service.PublishBy, service.Fence = fence, fence
	return service
}

// gem gives one gem to a character, at a gateway.
func (s *system) gem(at *gateway.Service, char events.CharID) *gateway.Answer {
	s.t.Helper()
	a, err := at.ChangeItems(s.t.Context(), char, []game.ItemDelta{{ItemID: "gem", Delta: 1}}, gateway.Options{Durability: gateway.DurabilityStream})
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

// Redis is emptied between the commit of one gateway and its publish, and another
// gateway joins the character at once. However long the first then sleeps, and
// where: what it calls published is in the copy that the game goes on with.
func TestWhatIsCalledPublishedIsJoinedAfterALoss(t *testing.T) {
	t.Parallel()
	const fence = 100 * time.Millisecond
	answers := make(map[gateway.Durability]int)
	char := events.CharID(0)
	s := newSystem(t)
	for _, place := range []string{"before the publish", "within the publish"} {
		for _, pause := range []time.Duration{0, fence / 4, fence / 2, fence * 3 / 4, fence, 2 * fence} {
			char++
			s.gem(s.service(), char)
			first, other := s.fenced(fence), s.fenced(fence)
			var joined sync.WaitGroup
			lose := func() {
				s.flush()
				joined.Go(func() {
					if _, err := other.Character(t.Context(), char); err != nil {
						t.Error(err)
					}
				})
			}
			first.Hot = &slowHot{s.hot, func() {
				lose()
				if place == "before the publish" {
					time.Sleep(pause)
				}
			}}
			first.Stream = &slowStream{Stream: s.stream, sending: func() {
				if place == "within the publish" {
					time.Sleep(pause)
				}
			}}
			answer := s.gem(first, char)
			joined.Wait()

			answers[answer.Durability]++
			want := int64(1)
			if answer.Durability == gateway.DurabilityStream {
				want = 2
			}
			if n := s.quantity(int(char), "hot", "gem"); n < want {
				t.Errorf("asleep for %s %s, answered %q: %d gems, want %d", pause, place, answer.Durability, n, want)
			}
		}
	}
	t.Logf("answers: %v", answers)
	if answers[gateway.DurabilityStream] == 0 {
		t.Error("nothing was answered stream: this test shows nothing")
	}
}

// A gateway that slept between its commit and its publish, while the character
// was joined after a loss, does not publish what the game went on without: were
// it saved, nobody would know it but PostgreSQL.
func TestCommitOlderThanTheFenceIsNotPublished(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.gem(s.service(), 1)
	const fence = 50 * time.Millisecond
	sleeper := s.fenced(fence)
	sleeper.Hot = &slowHot{s.hot, func() {
		s.flush()
		if view, err := s.fenced(fence).Character(t.Context(), 1); err != nil || view.Items[0].Quantity.Quantity != 1 {
			t.Errorf("joined meanwhile: %+v, %v", view, err)
		}
	}}

	if a := s.gem(sleeper, 1); a.Durability != gateway.DurabilityHot {
		t.Errorf("durability %q of what Redis has lost", a.Durability)
	}

	if n := len(s.published()); n != 1 {
		t.Errorf("%d events, want only that of before", n)
	}
}

// loadedHot is the real Redis, with something that happens after each load.
type loadedHot struct {
	gateway.Hot
	loaded func()
}

func (h *loadedHot) Load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error) {
	l, err := h.Hot.Load(ctx, char, want)
	h.loaded()
	return l, err
}

// The same for who dispatches: a sweeper that slept with a character in hand,
// which was joined meanwhile after a loss, does not publish it.
func TestCopyOlderThanTheFenceIsNotDispatched(t *testing.T) {
	t.Parallel()
	for name, dispatch := range map[string]func(*gateway.Service) (int, error){
		"by the sweeper": func(g *gateway.Service) (int, error) {
			return g.Dispatch(t.Context(), events.ScopeInventory, 1)
		},
		"by hand": func(g *gateway.Service) (int, error) {
			return g.DispatchVerified(t.Context(), events.ScopeInventory, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			s.gem(s.service(), 1)
			s.stream.cut.Store(true)
			s.must(s.change(s.service(), 1, "gem", 1)) // known to Redis alone
			s.stream.cut.Store(false)
			const fence = 50 * time.Millisecond
			sleeper, slept := s.fenced(fence), false
			sleeper.Hot = &loadedHot{s.hot, func() {
				if slept {
					return
				}
				slept = true
				s.flush()
				if view, err := s.fenced(fence).Character(t.Context(), 1); err != nil || view.Items[0].Quantity.Quantity != 1 {
					t.Errorf("joined meanwhile: %+v, %v", view, err)
				}
			}}
			n, err := dispatch(sleeper)
			for _, e := range s.published() {
				if items := e.Data.(events.Inventory).Items; items[0].Quantity != 1 {
					t.Errorf("dispatched %d, %v, what Redis has lost: %+v", n, err, items)
				}
			}
		})
	}
}

// slowCold is the real PostgreSQL, with something that happens after a trade was looked
// up.
type slowCold struct {
	gateway.Cold
	looked func()
}

func (c *slowCold) Transfer(ctx context.Context, id uuid.UUID) (events.Transfer, bool, error) {
	t, ok, err := c.Cold.Transfer(ctx, id)
	c.looked()
	return t, ok, err
}

// The same for the repeat of a trade: a gateway that slept with it in hand does not
// publish what Redis has lost meanwhile. Its items may be another's by now.
func TestRepeatedTradeOlderThanTheFenceIsNotPublished(t *testing.T) {
	t.Parallel()
	const fence = 50 * time.Millisecond
	s := newSystem(t)
	s.save()
	s.want(200, "POST", "1/inventory?durability=cold", fiveGems)
	s.gem(s.service(), 2)
	give := func(at *gateway.Service, trade game.Trade) gateway.Durability {
		t.Helper()
		a, err := at.Transfer(t.Context(), trade, gateway.Options{Durability: gateway.DurabilityStream})
		if err != nil {
			t.Fatal(err)
		}
		return a.Durability
	}
	trade := game.Trade{ID: uuid.New(), From: 1, To: 2, Items: []game.ItemDelta{{ItemID: "gem", Delta: 5}}}
	s.stream.cut.Store(true)
	give(s.fenced(fence), trade) // known to Redis alone
	s.stream.cut.Store(false)
	sleeper := s.fenced(fence)
	sleeper.Cold = &slowCold{s.cold, sync.OnceFunc(func() {
		s.flush()
		other := s.fenced(fence)
		other.PublishBy = time.Minute // also where the machine is slow
		give(other, game.Trade{ID: uuid.New(), From: 1, To: 3, Items: trade.Items})
		if _, err := other.Character(t.Context(), 2); err != nil {
			t.Error(err)
		}
	})}

	if reached := give(sleeper, trade); reached != gateway.DurabilityHot {
		t.Errorf("durability %q of what Redis has lost", reached)
	}

	s.settled(events.ScopeInventory)
	s.wantEqual()
	for _, from := range []string{"hot", "cold"} {
		s.wantGems("repeated", from, 0, 1, 5)
	}
}

// Redis is emptied while a gateway joins a character, after it has looked at the
// stream, and what was published meanwhile is in the stream alone. The join is
// not committed over it: it begins anew and finds it.
func TestJoinBegunBeforeALossBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, join := range map[string]func(context.Context, *gateway.Service) error{
		"on first touch": func(ctx context.Context, g *gateway.Service) error { _, err := g.Character(ctx, 1); return err },
		"by an operator": func(ctx context.Context, g *gateway.Service) error { return g.Rejoin(ctx, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.gem(s.service(), 1)
			s.flush()
			other := s.service()
			joiner := s.service()
			joiner.Stream = &slowStream{Stream: s.stream, looked: sync.OnceFunc(func() {
				if a := s.gem(other, 1); a.Durability != gateway.DurabilityStream {
					t.Errorf("durability %q", a.Durability)
				}
				s.flush()
			})}

			if err := join(t.Context(), joiner); err != nil {
				t.Fatal(err)
			}

			if n := s.quantity(1, "hot", "gem"); n != 2 {
				t.Errorf("%d gems, want both that were published", n)
			}
		})
	}
}

// A caller whose time is up before the fence is over is told to come again, and
// nothing is joined.
func TestNothingIsJoinedBeforeTheFenceIsOver(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.gem(s.service(), 1)
	s.flush()
	hasty := s.fenced(time.Hour)
	hasty.ActionTimeout = 10 * time.Millisecond
	view, err := hasty.Character(t.Context(), 1)
	if !events.IsUnavailable(err, events.Redis) {
		t.Errorf("%+v, %v, want that Redis is not available yet", view, err)
	}
	if loaded, err := s.hot.Load(t.Context(), 1, game.Want{}); err != nil || loaded.Known {
		t.Errorf("joined: %+v, %v", loaded, err)
	}
	if view, err := s.service().Character(t.Context(), 1); err != nil || view.Items[0].Quantity.Quantity != 1 {
		t.Errorf("after a fence that is over: %+v, %v", view, err)
	}
}
