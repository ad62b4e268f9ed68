package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// cutCold is the real PostgreSQL, of which nobody learns about trades while it
// is away.
type cutCold struct {
	gateway.Cold
	away atomic.Bool
}

func (c *cutCold) Transfers(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]events.Transfer, error) {
	if c.away.Load() {
		return nil, events.Unavailable(events.PostgreSQL, errors.New("cut off by the test"))
	}
	return c.Cold.Transfers(ctx, ids)
}

func (c *cutCold) Transfer(ctx context.Context, id uuid.UUID) (events.Transfer, bool, error) {
	saved, err := c.Transfers(ctx, []uuid.UUID{id})
	return saved[id], saved[id].ID != uuid.Nil, err
}

// withoutSavedTrades is the rest of a test in which the first gateway cannot ask
// PostgreSQL about trades until back is called.
func (s *system) withoutSavedTrades() (back func()) {
	s.t.Helper()
	c := &cutCold{Cold: s.cold}
	c.away.Store(true)
	service := s.service()
	service.Cold = c
	s.gateways[0] = s.serve(service)
	return func() { c.away.Store(false) }
}

// forgetAnswers is what a day does to a character: no request is known any more.
func (s *system) forgetAnswers(char int) {
	s.t.Helper()
	s.drop(fmt.Sprintf("{ac:%d}:requests", char), fmt.Sprintf("{ac:%d}:requests:old", char))
}

// lose is what the loss of a character's node of a cluster leaves: nothing, and
// what others know of it. The answers of the last minute, too, are forgotten.
func (s *system) lose(char int) {
	s.t.Helper()
	for _, part := range []string{"items", "transfers", "dirty"} {
		s.drop(fmt.Sprintf("{ac:%d}:%s", char, part))
	}
	s.drop(fmt.Sprintf("ac:%d", char))
	s.look(char, "hot")
	s.forgetAnswers(char)
}

func (s *system) drop(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		if err := s.redis.Del(s.t.Context(), key).Err(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// wantGems checks how many gems the characters have, the first of them 1.
func (s *system) wantGems(when, from string, want ...int64) {
	s.t.Helper()
	for i, n := range want {
		if have := s.quantity(i+1, from, "gem"); have != n {
			s.t.Errorf("%s: character %d has %d gems %s, want %d", when, i+1, have, from, n)
		}
	}
}

const fiveGems = `{"changes":[{"item_id":"gem","delta":5}]}`

// A receiver that has forgotten a trade does not get the items a second time,
// also while nobody can ask PostgreSQL whether it has them.
func TestReceiverThatForgotATradeGetsItOnce(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*system){
		"its answers":     func(s *system) { s.forgetAnswers(2) },
		"with its server": func(s *system) { s.lose(2) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.save()
			s.want(200, "POST", "1/inventory", fiveGems)
			body := tradeBody(uuid.New(), 1, 2, "gem", 2)
			first := s.wantTransfer(200, body)
			s.wantEqual()
			forget(s)

			back := s.withoutSavedTrades()
			s.wantTransfer(503, body)
			s.wantGems("asked in vain", "hot", 3, 2)
			back()
			if again := s.wantTransfer(200, body); again.ToVersion != first.ToVersion {
				t.Errorf("the repeat says %+v, the first %+v", again, first)
			}
			s.wantGems("repeated", "hot", 3, 2)
			s.wantEqual()
		})
	}
}

// A sender that has forgotten a trade does not give the items a second time: the
// receiver knows, also while nobody can ask PostgreSQL.
func TestSenderThatForgotATradeGivesItOnce(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*system){
		"its answers":     func(s *system) { s.forgetAnswers(1) },
		"with its server": func(s *system) { s.lose(1) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.save()
			s.want(200, "POST", "1/inventory", fiveGems)
			body := tradeBody(uuid.New(), 1, 2, "gem", 2)
			first := s.wantTransfer(200, body)
			s.wantEqual()
			forget(s)

			back := s.withoutSavedTrades()
			if again := s.wantTransfer(200, body); again.Version != first.Version || again.ToVersion != first.ToVersion {
				t.Errorf("the repeat says %+v, the first %+v", again, first)
			}
			back()
			s.sweep(10 * time.Minute)
			s.wantEqual()
			s.wantGems("swept", "hot", 3, 2)
			s.wantGems("swept", "cold", 3, 2)
			if view := s.look(1, "hot"); len(view.Escrow) != 0 {
				t.Errorf("left in escrow: %+v", view.Escrow)
			}
		})
	}
}

// What Redis forgets with its memory, the stream's last minute brings back: a trade
// that an event carried, whether its own or a later one of either side, is not
// carried out again, also while nobody can ask PostgreSQL.
func TestTradeOfTheLastMinuteOutlivesRedis(t *testing.T) {
	t.Parallel()
	for name, trade := range map[string]func(s *system, body string) gateway.TransferAnswer{
		"published": func(s *system, body string) gateway.TransferAnswer { return s.wantTransfer(200, body) },
		"carried by a later event of the sender": func(s *system, body string) gateway.TransferAnswer {
			return s.tradeUnpublished(body, 1)
		},
		"carried by a later event of the receiver": func(s *system, body string) gateway.TransferAnswer {
			return s.tradeUnpublished(body, 2)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			s.save()
			s.want(200, "POST", "1/inventory", fiveGems)
			s.want(200, "POST", "2/inventory", fiveGems)
			body := tradeBody(uuid.New(), 1, 2, "gem", 2)
			first := trade(s, body)
			s.settled(events.ScopeInventory) // a sweep leaves alone what may be on its way
			s.sweep(10 * time.Minute)
			s.wantEqual()
			have := []int64{s.quantity(1, "hot", "gem"), s.quantity(2, "hot", "gem")}
			if err := s.redis.FlushDB(t.Context()).Err(); err != nil {
				t.Fatal(err)
			}

			s.wantGems("lost", "hot", have...)
			back := s.withoutSavedTrades()
			again := s.wantTransfer(200, body)
			if again.Version != first.Version || again.ToVersion != first.ToVersion {
				t.Errorf("the repeat says %+v, the first %+v", again, first)
			}
			back()
			s.wantGems("repeated", "hot", have...)
			s.wantEqual()
		})
	}
}

// tradeUnpublished is a trade without events of its own; then one of its sides gets
// another gem.
func (s *system) tradeUnpublished(body string, next int) gateway.TransferAnswer {
	s.t.Helper()
	s.stream.cut.Store(true)
	first := s.wantTransfer(200, body)
	s.stream.cut.Store(false)
	s.want(200, "POST", fmt.Sprintf("%d/inventory", next), `{"changes":[{"item_id":"gem","delta":1}]}`)
	return first
}

// The id of a trade is one trade's: another sender that uses it for the same
// receiver is refused and loses nothing, whatever is forgotten later.
func TestOneTradeIDOfTwoSendersIsOneTrade(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "POST", "1/inventory", fiveGems)
	s.want(200, "POST", "3/inventory", fiveGems)
	id := uuid.New()
	s.wantTransfer(200, tradeBody(id, 1, 2, "gem", 2))
	s.wantTransfer(422, tradeBody(id, 3, 2, "gem", 2))
	s.wantGems("at once", "hot", 3, 2, 5)
	s.save()
	s.wantEqual()
	s.sweep(10 * time.Minute)
	s.wantGems("saved", "cold", 3, 2, 5)
	s.flush()
	s.wantTransfer(422, tradeBody(id, 3, 2, "gem", 2))
	s.wantGems("Redis was emptied", "hot", 3, 2, 5)
}

// Redis is emptied while a trade is in escrow that PostgreSQL has with the bag.
// Nobody touches the sender again: the sweeper hands the items over all the same.
func TestEscrowThatNobodyTouchesIsHandedOver(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.want(200, "POST", "1/inventory", fiveGems)
	s.giveOnly(uuid.New(), 1, 2, "gem", 2)
	s.saveBagAndFlush()

	s.wantHandedOver()
}

// The sender comes back into Redis from PostgreSQL alone, while NATS is away:
// what it has in escrow is handed over when NATS is back.
func TestEscrowOfANewcomerIsHandedOver(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.want(200, "POST", "1/inventory", fiveGems)
	s.giveOnly(uuid.New(), 1, 2, "gem", 2)
	s.saveBagAndFlush()
	s.settled(events.ScopeInventory)
	note, _, err := s.hot.BeginNote(t.Context())
	if err == nil {
		err = s.hot.NoteComplete(t.Context(), note)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.keptFor(2 * time.Minute)
	s.stream.away.Store(true)
	if view := s.look(1, "hot"); len(view.Escrow) != 1 {
		t.Errorf("loaded from PostgreSQL: %+v, want the trade in escrow", view)
	}
	s.stream.away.Store(false)

	s.wantHandedOver()
}

// wantHandedOver sweeps until the trade of 2 gems has arrived everywhere.
func (s *system) wantHandedOver() {
	s.t.Helper()
	later := time.Minute
	stacktest.Eventually(s.t, "the trade is completed", func() bool {
		s.sweep(later)
		later += time.Minute
		return s.count("SELECT count(*) FROM transfers WHERE to_version = 0") == 0
	})
	s.wantEqual()
	s.wantGems("swept", "hot", 3, 2)
	s.wantGems("swept", "cold", 3, 2)
}

// A repeat is told "cold" for what PostgreSQL has, not for what it once had: it
// may have come back from an older backup.
func TestRepeatedTradeThatPostgreSQLHasLostIsNotCold(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.want(200, "POST", "1/inventory", fiveGems)
	body := tradeBody(uuid.New(), 1, 2, "gem", 2)
	s.wantTransfer(200, body)
	s.wantEqual()
	if a := s.wantTransfer(200, body); a.Durability != gateway.DurabilityCold {
		t.Errorf("all is saved, and the repeat says %+v", a)
	}
	s.sql("TRUNCATE items, transfers")
	if a := s.wantTransfer(200, body); a.Durability == gateway.DurabilityCold {
		t.Errorf("PostgreSQL has nothing, and the repeat says %+v", a)
	}
	s.wantGems("asked again", "hot", 3, 2)
}

// A gift is no sign of life: what was lost stays lost, however much others give
// to it.
func TestGiftDoesNotKeepTheReceiverAlive(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(201, "POST", "2/contexts/scenario", `{"scenario_id":"old-road"}`)
	s.want(200, "POST", "1/inventory", fiveGems)
	seen := func(char string) string {
		t.Helper()
		at, err := s.redis.HGet(t.Context(), "ac:"+char, "last_seen").Result()
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	sender, receiver := seen("1"), seen("2")
	s.wantTransfer(200, tradeBody(uuid.New(), 1, 2, "gem", 2))
	if now := seen("2"); now != receiver {
		t.Errorf("the receiver was seen at %s, and after the gift at %s", receiver, now)
	}
	if now := seen("1"); now == sender {
		t.Errorf("the sender was last seen at %s, before it gave", now)
	}
}

// halfStream is the real stream, of which NATS takes one event of each two.
type halfStream struct {
	gateway.Stream
	takes int // 0 or 1
}

func (h halfStream) Send(origin game.Origin, batch ...events.StateChanged) (func(context.Context) error, error) {
	if len(batch) != 2 {
		return h.Stream.Send(origin, batch...)
	}
	wait, err := h.Stream.Send(origin, batch[h.takes])
	return func(ctx context.Context) error { return errors.Join(wait(ctx), errCut) }, err
}

// A trade comes to the stream with an event of one side alone where NATS goes
// away just then, or comes back before that side's next event. When Redis loses
// its memory now, the other side must not be joined without the trade.
func TestBothSidesRememberATradeThatOneOfThemHasPublished(t *testing.T) {
	t.Parallel()
	for _, publisher := range []int{1, 2} {
		for name, trade := range map[string]func(s *system, body string) (more int64){
			"its event": func(s *system, body string) int64 {
				service := s.service()
				service.Stream = halfStream{s.bus, publisher - 1}
				s.gateways[0] = s.serve(service)
				s.wantTransfer(200, body)
				return 0
			},
			"its next event": func(s *system, body string) int64 {
				s.stream.cut.Store(true)
				s.wantTransfer(200, body)
				s.stream.cut.Store(false)
				s.want(200, "POST", fmt.Sprintf("%d/inventory", publisher), `{"changes":[{"item_id":"gem","delta":1}]}`)
				return 1
			},
		} {
			t.Run(fmt.Sprintf("%s, of character %d", name, publisher), func(t *testing.T) {
				t.Parallel()
				s := newSystem(t)
				stop := s.save()
				for _, char := range []string{"1", "2"} {
					s.want(200, "POST", char+"/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":10}]}`)
				}
				stop()
				body := tradeBody(uuid.New(), 1, 2, "gem", 3)
				want := []int64{7, 13}
				want[publisher-1] += trade(s, body)
				// Other rows of both are newer than the trade.
				s.want(200, "PUT", "1/vitals", harbor)
				s.want(200, "PUT", "2/vitals", harbor)
				if err := s.redis.FlushDB(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}

				have := s.quantity(1, "hot", "gem") + s.quantity(2, "hot", "gem")
				for range s.look(1, "hot").Escrow {
					have += 3
				}
				if have != want[0]+want[1] {
					t.Errorf("%d gems after the loss, want %d", have, want[0]+want[1])
				}
				s.save()
				s.sweep(10 * time.Minute)
				s.wantEqual()
				s.wantGems("swept", "cold", want...)
				s.wantTransfer(200, body)
				s.wantGems("repeated", "hot", want...)
			})
		}
	}
}
