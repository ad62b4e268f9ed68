package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func (s *system) transfer(n int, body string) (reply, error) {
	request, err := http.NewRequestWithContext(s.t.Context(), "POST", s.gateways[n].URL+"/v1/transfers?durability=stream", bytes.NewReader([]byte(body)))
	if err != nil {
		return reply{}, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return reply{answer.StatusCode, answer.Header, string(text)}, err
}

func tradeBody(id uuid.UUID, from, to int, item string, n int64) string {
	return fmt.Sprintf(`{"transfer_id":%q,"from":%d,"to":%d,"items":[{"item_id":%q,"quantity":%d}]}`, id, from, to, item, n)
}

func (s *system) wantTransfer(status int, body string) (answer gateway.TransferAnswer) {
	s.t.Helper()
	r, err := s.transfer(0, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if r.Status != status {
		s.t.Fatalf("transfer %s: %d %s, want %d", body, r.Status, r.Body, status)
	}
	r.into(s.t, &answer)
	return answer
}

func (s *system) quantity(char int, from, item string) int64 {
	s.t.Helper()
	for _, i := range s.look(char, from).Items {
		if i.ItemID == item {
			return i.Quantity.Quantity
		}
	}
	return 0
}

// A trade happens once, however often it is asked for and whatever has
// forgotten it: Redis, or the savers.
func TestTradeHappensOnce(t *testing.T) {
	t.Parallel()
	tradeOnce(t, newSystem(t))
}

// On a cluster the two sides of a trade lie on different servers.
func TestTradesOnRedisCluster(t *testing.T) {
	t.Parallel()
	url := stacktest.OwnRedisCluster(t).URL()
	t.Run("happen once", func(t *testing.T) {
		s := newSystemOn(t, url)
		tradeOnce(t, s)
		s.flush()
	})
	t.Run("make and lose nothing", func(t *testing.T) { tradeGems(t, newSystemOn(t, url)) })
}

func tradeOnce(t *testing.T, s *system) {
	stop := s.save()
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":5}]}`)
	body := tradeBody(uuid.New(), 1, 2, "gem", 2)
	first := s.wantTransfer(200, body)
	if first.FromItems[0].Quantity != 3 || first.ToItems[0].Quantity != 2 || first.Durability != "stream" {
		t.Errorf("first answer: %+v", first)
	}
	check := func(when string) {
		t.Helper()
		again := s.wantTransfer(200, body)
		if again.Version != first.Version || again.ToVersion != first.ToVersion {
			t.Errorf("%s: repeated it says %+v, first %+v", when, again, first)
		}
		if a, b := s.quantity(1, "hot", "gem"), s.quantity(2, "hot", "gem"); a != 3 || b != 2 {
			t.Errorf("%s: %d and %d gems, want 3 and 2", when, a, b)
		}
	}
	check("at once")
	s.wantEqual()
	check("when saved")
	s.flush()
	check("when saved and Redis was emptied")
	stop()

	body = tradeBody(uuid.New(), 2, 1, "gem", 1)
	first = s.wantTransfer(200, body)
	first.FromItems[0].Quantity, first.ToItems[0].Quantity = 0, 0
	s.flush()
	again := s.wantTransfer(200, body)
	if a, b := s.quantity(1, "hot", "gem"), s.quantity(2, "hot", "gem"); a != 4 || b != 1 || again.Version != first.Version {
		t.Errorf("not saved and Redis emptied: %d and %d gems, want 4 and 1; %+v, first %+v", a, b, again, first)
	}
	s.save()
	s.wantEqual()
	if a, b := s.quantity(1, "cold", "gem"), s.quantity(2, "cold", "gem"); a != 4 || b != 1 {
		t.Errorf("saved: %d and %d gems", a, b)
	}
}

// flush empties Redis, on every node.
func (s *system) flush() {
	s.t.Helper()
	err := s.redis.FlushDB(s.t.Context()).Err()
	if cluster, ok := s.redis.(*redis.ClusterClient); ok {
		err = cluster.ForEachMaster(s.t.Context(), func(ctx context.Context, node *redis.Client) error {
			return node.FlushDB(ctx).Err()
		})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestTradeThatCannotBeIsRefusedAndTakesNothing(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":1}]}`)
	s.want(200, "POST", "2/inventory", `{"changes":[{"item_id":"gem","delta":9223372036854775807}]}`)
	short := tradeBody(uuid.New(), 1, 3, "gem", 2)
	s.wantTransfer(409, short)
	s.wantTransfer(409, tradeBody(uuid.New(), 1, 2, "gem", 1)) // no room
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":4}]}`)
	s.wantTransfer(409, short) // the refusal stands: the first may still sleep somewhere

	id := uuid.New()
	s.wantTransfer(200, tradeBody(id, 1, 3, "gem", 1))
	for _, other := range []string{tradeBody(id, 1, 3, "gem", 2), tradeBody(id, 1, 4, "gem", 1)} {
		s.wantTransfer(422, other)
	}
	if a, b, c := s.quantity(1, "hot", "gem"), s.quantity(3, "hot", "gem"), s.look(1, "hot").Escrow; a != 4 || b != 1 || c != nil {
		t.Errorf("%d and %d gems, escrow %v", a, b, c)
	}
	for field, body := range map[string]string{
		"transfer_id":       `{"transfer_id":"x","from":1,"to":2,"items":[{"item_id":"a","quantity":1}]}`,
		"from":              tradeBody(id, 0, 2, "a", 1),
		"to":                tradeBody(id, 1, 1, "a", 1),
		"items[0].quantity": tradeBody(id, 1, 2, "a", 0),
		"items[0].item_id":  tradeBody(id, 1, 2, "", 1),
		"items":             `{"transfer_id":"7b1c9d0e-55aa-4c1d-8e2f-90a1b2c3d4e5","from":1,"to":2,"items":[]}`,
		"gold":              `{"transfer_id":"7b1c9d0e-55aa-4c1d-8e2f-90a1b2c3d4e5","from":1,"to":2,"gold":1}`,
	} {
		r, err := s.transfer(0, body)
		if err != nil {
			t.Fatal(err)
		}
		var p gateway.Problem
		r.into(t, &p)
		if r.Status != 422 || len(p.Errors) != 1 || p.Errors[0].Field != field {
			t.Errorf("%s: %d %s, want 422 for %s", body, r.Status, r.Body, field)
		}
	}
}

// The gateway dies between the two commits: the items are in escrow, and the
// sweeper, or the client's repeat, hands them over.
func TestTradeInEscrowIsCompleted(t *testing.T) {
	t.Parallel()
	for name, mend := range map[string]func(*system, string){
		"by the sweeper": func(s *system, _ string) { s.sweep(time.Minute) },
		"by a repeat": func(s *system, body string) {
			if r, err := s.transfer(0, body); err != nil || r.Status != 200 || r.Header.Get("Idempotency-Replayed") != "true" {
				s.t.Errorf("%+v, %v: want 200, and that it was asked for before", r, err)
			}
		},
		"by both":         func(s *system, body string) { s.sweep(time.Minute); s.wantTransfer(200, body) },
		"after a restart": func(s *system, _ string) { s.flushAfterBagIsSaved(); s.sweep(time.Minute) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.save()
			s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":5}]}`)
			s.wantEqual()
			id := uuid.New()
			s.giveOnly(id, 1, 2, "gem", 2)
			if view := s.look(1, "hot"); len(view.Escrow) != 1 || view.Escrow[0].Items[0].Quantity != 2 || s.quantity(1, "hot", "gem") != 3 {
				t.Fatalf("no escrow: %+v", view)
			}
			mend(s, tradeBody(id, 1, 2, "gem", 2))
			s.wantEqual()
			for _, from := range []string{"hot", "cold"} {
				if a, b := s.quantity(1, from, "gem"), s.quantity(2, from, "gem"); a != 3 || b != 2 {
					t.Errorf("%s: %d and %d gems", from, a, b)
				}
			}
			if view := s.look(1, "hot"); len(view.Escrow) != 0 {
				t.Errorf("left in escrow: %+v", view.Escrow)
			}
		})
	}
}

// giveOnly is what a gateway leaves that dies after the sender's commit.
func (s *system) giveOnly(id uuid.UUID, from, to events.CharID, item string, n int64) {
	s.t.Helper()
	loaded, err := s.hot.Load(s.t.Context(), from, game.Want{AllItems: true, Transfers: true})
	if err != nil {
		s.t.Fatal(err)
	}
	v := events.NextVersion(loaded.Version, time.Now())
	change, _, err := game.Give(&loaded.State, v, game.Trade{ID: id, From: from, To: to, Items: []game.ItemDelta{{ItemID: item, Delta: n}}})
	if err == nil {
		err = s.hot.Commit(s.t.Context(), change, game.Request{})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// flushAfterBagIsSaved loses all that Redis has, and touches the sender.
func (s *system) flushAfterBagIsSaved() {
	s.t.Helper()
	s.saveBagAndFlush()
	s.look(1, "hot")
}

// saveBagAndFlush saves the sender's bag, which carries the trade in escrow, and
// then empties Redis: only PostgreSQL knows of the escrow.
func (s *system) saveBagAndFlush() {
	s.t.Helper()
	s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":1}]}`)
	s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":-1}]}`)
	if sum := s.coldSum("gem"); sum != 5 {
		s.t.Errorf("%d gems in PostgreSQL with the escrow, want 5", sum)
	}
	s.flush()
}

// coldSum is how many of an item PostgreSQL has, with what is in escrow.
func (s *system) coldSum(item string) (sum int64) {
	s.t.Helper()
	sum, err := coldSum(s.t.Context(), s, item)
	if err != nil {
		s.t.Fatal(err)
	}
	return sum
}

func coldSum(ctx context.Context, s *system, item string) (sum int64, err error) {
	err = s.pool.QueryRow(ctx, `SELECT coalesce(sum(quantity), 0)::bigint FROM (
		SELECT item_id, quantity FROM items UNION ALL
		SELECT i->>'item_id', (i->>'quantity')::bigint FROM transfers, jsonb_array_elements(items) i WHERE to_version = 0
	) AS everything WHERE item_id = $1`, item).Scan(&sum)
	return sum, err
}

// Many trades at once among few characters, through two gateways, each asked
// for twice, with savers of which two share the scope: no moment of PostgreSQL
// shows a gem twice or nowhere, and at the end all add up, hot and cold.
func TestGemsAreNeitherMadeNorLostByTrading(t *testing.T) {
	t.Parallel()
	tradeGems(t, newSystem(t))
}

func tradeGems(t *testing.T, s *system) {
	const chars, each, traders, trades = 5, 20, 6, 40
	for char := 1; char <= chars; char++ {
		s.want(200, "POST", fmt.Sprint(char, "/inventory"), fmt.Sprintf(`{"changes":[{"item_id":"gem","delta":%d}]}`, each))
	}
	s.save()
	s.wantEqual()
	s.save()
	stop := s.watchSum("gem", chars*each)
	var group sync.WaitGroup
	var done, refused atomic.Int64
	for n := range traders {
		group.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(n)))
			for range trades {
				from := 1 + r.IntN(chars)
				body := tradeBody(uuid.New(), from, 1+from%chars, "gem", 1+r.Int64N(15))
				for repeat := range 1 + r.IntN(2) {
					switch got, err := s.transfer((n+repeat)%2, body); {
					case err != nil:
						t.Error(err)
					case got.Status == 200:
						done.Add(1)
					case got.Status == 409:
						refused.Add(1)
					default:
						t.Errorf("%s: %d %s", body, got.Status, got.Body)
					}
				}
			}
		})
	}
	group.Wait()
	s.wantEqual()
	stop()
	t.Logf("%d answers, %d refusals", done.Load(), refused.Load())
	for _, from := range []string{"hot", "cold"} {
		sum := int64(0)
		for char := 1; char <= chars; char++ {
			sum += s.quantity(char, from, "gem")
		}
		if sum != chars*each {
			t.Errorf("%s: %d gems, want %d", from, sum, chars*each)
		}
	}
}

// watchSum looks at PostgreSQL again and again until it is stopped.
func (s *system) watchSum(item string, want int64) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for looks := 0; ; looks++ {
			sum, err := coldSum(ctx, s, item)
			if ctx.Err() != nil {
				s.t.Logf("looked %d times", looks)
				return
			}
			if err != nil || sum != want {
				s.t.Errorf("PostgreSQL shows %d of %s, want %d: %v", sum, item, want, err)
				return
			}
		}
	})
	return func() { cancel(); group.Wait() }
}

// forgetful is a Redis that loses its memory just before a gateway asks it which
// rows are not saved.
type forgetful struct {
	gateway.Hot
	forget func()
}

func (f *forgetful) Load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error) {
	if want.Dirty && want.Transfers {
		f.forget()
	}
	return f.Hot.Load(ctx, char, want)
}

// A repeat that finds no mark of the trade is not told "cold" on that alone: a
// Redis that has lost its memory has no marks either, and what it lost is then
// in the stream at least.
func TestRepeatedTradeIsColdOnlyWhenPostgreSQLHasIt(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":5}]}`)
	trade := game.Trade{ID: uuid.New(), From: 1, To: 2, Items: []game.ItemDelta{{ItemID: "gem", Delta: 2}}}
	service := s.service()
	first, err := service.Transfer(t.Context(), trade, gateway.Options{Durability: gateway.DurabilityHot})
	if err != nil {
		t.Fatal(err)
	}
	service.Hot = &forgetful{service.Hot, s.flush}
	again, err := service.Transfer(t.Context(), trade, gateway.Options{Durability: gateway.DurabilityStream})
	if err != nil {
		t.Fatal(err)
	}
	if again.Version != first.Version || again.Durability != gateway.DurabilityStream {
		t.Errorf("nothing is saved, and the repeat says %+v, the first %+v", again, first)
	}
	s.save()
	s.look(1, "hot")
	s.look(2, "hot")
	s.wantEqual()
	service.Hot = s.hot
	if again, err = service.Transfer(t.Context(), trade, gateway.Options{}); err != nil || again.Durability != gateway.DurabilityCold {
		t.Errorf("all is saved, and the repeat says %+v, %v", again, err)
	}
	if a, b := s.quantity(1, "cold", "gem"), s.quantity(2, "cold", "gem"); a != 3 || b != 2 {
		t.Errorf("saved: %d and %d gems, want 3 and 2", a, b)
	}
}
