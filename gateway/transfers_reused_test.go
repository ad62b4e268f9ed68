package gateway_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// let lets all commits through, from now on.
func (h *heldHot) let(t *testing.T) {
	close(h.commit)
	go func() {
		for {
			select {
			case <-h.decide:
			case <-t.Context().Done():
				return
			}
		}
	}()
}

// A caller uses one id for two trades at the same moment, as for the two halves of a swap:
// each has taken the items when it finds that the other side knows the id as another
// trade's. Who is refused has its items.
func TestTradeIDThatIsUsedTwiceAtOnceTakesNothing(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]struct{ from, to int }{
		"a swap": {2, 1}, "two senders": {3, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			for _, char := range []string{"1", "2", "3"} {
				s.want(200, "POST", char+"/inventory", fiveGems)
			}
			id := uuid.New()
			bodies := []string{tradeBody(id, 1, 2, "gem", 2), tradeBody(id, second.from, second.to, "gem", 1)}
			held := []*heldHot{s.holdCommits(0, 0), s.holdCommits(1, 0)}
			answers := make(chan reply, 2)
			for n, body := range bodies {
				go func() {
					r, err := s.transfer(n, body)
					if err != nil {
						t.Error(err)
					}
					answers <- r
				}()
			}
			for _, h := range held { // both take, before either hands over
				<-h.decide
			}
			for _, h := range held {
				h.commit <- struct{}{}
				<-h.decide
			}
			for _, h := range held {
				h.let(t)
			}
			want := map[int]int64{1: 5, 2: 5, 3: 5}
			for range bodies {
				switch r := <-answers; r.Status {
				case 200:
					var done gateway.TransferAnswer
					r.into(t, &done)
					want[int(done.From)] -= done.Items[0].Quantity
					want[int(done.To)] += done.Items[0].Quantity
				case 422:
				default:
					t.Errorf("answered %d %s", r.Status, r.Body)
				}
			}
			check := func(when, from string) {
				t.Helper()
				s.wantGems(when, from, want[1], want[2], want[3])
				for char := 1; char <= 3; char++ {
					if left := s.look(char, from).Escrow; len(left) > 0 {
						t.Errorf("%s: character %d has %+v in escrow", when, char, left)
					}
				}
			}
			check("at once", "hot")
			s.save()
			s.wantEqual()
			check("saved", "cold")
			s.sweep(10 * time.Minute)
			s.flush()
			for _, body := range bodies {
				if r, err := s.transfer(0, body); err != nil || r.Status != 200 && r.Status != 422 {
					t.Errorf("repeated: %+v, %v", r, err)
				}
			}
			check("repeated", "hot")
		})
	}
}

// The gateway dies with a trade in escrow, and another sender uses the id: the sweeper
// gives the items back, once.
func TestEscrowOfAnIDThatIsAnotherTradesIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(*system) error{
		"at once":          func(*system) error { return nil },
		"the other saved":  func(s *system) error { s.settled(events.ScopeInventory); return nil },
		"and joined again": func(s *system) error { s.settled(events.ScopeInventory); return s.service().Rejoin(s.t.Context(), 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			s.save()
			s.want(200, "POST", "1/inventory", fiveGems)
			s.want(200, "POST", "3/inventory", fiveGems)
			id := uuid.New()
			s.giveOnly(id, 1, 2, "gem", 2)
			s.wantTransfer(200, tradeBody(id, 3, 2, "gem", 1))
			s.wantGems("in escrow", "hot", 3, 1, 4)
			if err := meanwhile(s); err != nil {
				t.Fatal(err)
			}

			s.sweep(time.Minute)
			s.wantEqual()
			for _, from := range []string{"hot", "cold"} {
				s.wantGems("swept", from, 5, 1, 4)
			}
			s.sweep(10 * time.Minute)
			s.wantTransfer(422, tradeBody(id, 1, 2, "gem", 2))
			s.flush()
			s.wantTransfer(422, tradeBody(id, 1, 2, "gem", 2))
			s.wantGems("Redis was emptied", "hot", 5, 1, 4)
			if n := s.count("SELECT count(*) FROM transfers WHERE to_version = 0"); n != 0 {
				t.Errorf("%d trades are in escrow", n)
			}
		})
	}
}

// What was taken back stays so where the sender's copy has it in escrow once more: joined, after
// a loss, with old events that came again. It does while the stream tells, and without it.
func TestTradeIsTakenBackOnce(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*system){
		"the stream tells":   func(*system) {},
		"the stream is lost": (*system).purge,
		"the receiver has forgotten, too": func(s *system) {
			s.purge()
			s.forgetAnswers(2)
		},
		"and the other was taken back": func(s *system) {
			s.purge()
			s.forgetAnswers(2)
			s.sql("UPDATE transfers SET to_version = 1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			s.save()
			s.want(200, "POST", "1/inventory", fiveGems)
			s.want(200, "POST", "3/inventory", fiveGems)
			id := uuid.New()
			s.wantTransfer(200, tradeBody(id, 3, 2, "gem", 1))
			s.settled(events.ScopeInventory)
			s.giveOnly(id, 1, 2, "gem", 2)
			loaded, err := s.hot.Load(t.Context(), 1, game.Everything)
			if err != nil {
				t.Fatal(err)
			}
			held := loaded.Transfers
			s.sweep(time.Minute)
			s.wantEqual()
			s.wantGems("taken back", "hot", 5, 1, 4)

			lose(s)
			again := &game.Change{Char: 1, Version: events.NextVersion(s.look(1, "hot").Version, time.Now()), Transfers: held}
			if err := s.hot.Commit(t.Context(), again, game.Request{}); err != nil {
				t.Fatal(err)
			}
			s.sweep(10 * time.Minute)
			s.wantEqual()
			for _, from := range []string{"hot", "cold"} {
				s.wantGems("in escrow once more", from, 5, 1, 4)
			}
			if left := s.look(1, "hot").Escrow; len(left) > 0 {
				t.Errorf("in escrow: %+v", left)
			}
		})
	}
}

// purge takes from the stream all that it has.
func (s *system) purge() {
	s.t.Helper()
	stream, err := s.js.Stream(s.t.Context(), bus.StreamChanges)
	if err == nil {
		err = stream.Purge(s.t.Context())
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
