package gateway_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// Answers are kept in two generations. A join puts back an answer that neither
// has: the repeat is a repeat before it and after, and once Redis has forgotten it.
func TestRepeatIsKnownInEitherGenerationOfAnswers(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	key, body := uuid.NewString(), `{"changes":[{"item_id":"gem","delta":1}]}`
	others := func(n int) {
		t.Helper()
		for range n {
			s.want(200, "PUT", "1/vitals", harbor, "Idempotency-Key", uuid.NewString())
		}
	}
	known := func(when string) {
		t.Helper()
		r := s.do(0, "POST", "1/inventory", body, "Idempotency-Key", key)
		if r.Status != 200 || r.Header.Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: %d %s, want the first answer again", when, r.Status, r.Body)
		}
	}
	kept := func(generation string) bool {
		t.Helper()
		has, err := s.redis.HExists(t.Context(), "{ac:1}:"+generation, key).Result()
		if err != nil {
			t.Fatal(err)
		}
		return has
	}
	// A generation that is old holds 256: with 100 before it and 200 after it, the
	// answer is in the older.
	others(100)
	first := s.want(200, "POST", "1/inventory", body, "Idempotency-Key", key)
	if err := s.redis.HSet(t.Context(), "{ac:1}:requests", "began", time.Now().Add(-2*time.Minute).Unix()).Err(); err != nil {
		t.Fatal(err)
	}
	others(200)
	if !kept("requests:old") || kept("requests") {
		t.Fatal("the answer is not in the older generation alone")
	}
	known("in the older generation")
	// The copy is as it is after Redis was started again.
	if err := s.redis.HSet(t.Context(), "ac:1", "run", "0123456789").Err(); err != nil {
		t.Fatal(err)
	}
	known("not verified")
	s.want(200, "PUT", "1/vitals", harbor)
	if !kept("requests:old") || kept("requests") {
		t.Fatal("the join did not leave the answer where it was")
	}
	known("after a join")
	if err := s.redis.Del(t.Context(), "{ac:1}:requests", "{ac:1}:requests:old").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.redis.HSet(t.Context(), "ac:1", "run", "0123456789").Err(); err != nil {
		t.Fatal(err)
	}
	s.want(200, "PUT", "1/vitals", harbor)
	if !kept("requests") {
		t.Fatal("the join did not put the answer back")
	}
	known("put back")
	if view := s.look(1, "hot"); view.Items[0].Quantity.Quantity != 1 || view.Items[0].Version != first.Version {
		t.Errorf("items %+v, want the first answer's %+v", view.Items, first)
	}
}

// Redis is emptied while a gateway has the repeat of a request in hand that its first
// gateway did not publish. What the repeat calls published is in the copy that the game
// goes on with, and what Redis has lost before it was read is not called so.
func TestRepeatDoesNotCallPublishedWhatRedisHasLost(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		loads int // after how many Redis is emptied
		want  gateway.Durability
		gems  int64
	}{
		"before the change was read": {1, gateway.DurabilityHot, 5},
		"after it":                   {2, gateway.DurabilityStream, 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			s.save()
			s.want(200, "POST", "1/inventory?durability=cold", fiveGems)
			opts := gateway.Options{Key: uuid.NewString(), Durability: gateway.DurabilityStream}
			gem := func(at *gateway.Service) *gateway.Answer {
				t.Helper()
				a, err := at.ChangeItems(t.Context(), 1, []game.ItemDelta{{ItemID: "gem", Delta: 1}}, opts)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			s.stream.cut.Store(true)
			gem(s.service())
			s.stream.cut.Store(false)
			second, loads := s.service(), 0
			second.Hot = &loadedHot{s.hot, func() {
				if loads++; loads == test.loads {
					s.flush()
				}
			}}

			if a := gem(second); a.Durability != test.want || !a.Replayed {
				t.Errorf("%+v, want durability %q of a repeat", a, test.want)
			}

			if n := s.quantity(1, "hot", "gem"); n != test.gems {
				t.Errorf("%d gems, want %d", n, test.gems)
			}
		})
	}
}

// A change that a repeat has published goes with its request, as that of the first would
// have: the next repeat is known also when Redis has lost its memory.
func TestAnswerThatARepeatHasPublishedOutlivesRedis(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	key, body := uuid.NewString(), `{"changes":[{"item_id":"gem","delta":1}]}`
	s.want(200, "POST", "1/inventory", fiveGems)
	s.stream.cut.Store(true)
	s.want(200, "POST", "1/inventory", body, "Idempotency-Key", key)
	s.stream.cut.Store(false)
	if a := s.want(200, "POST", "1/inventory", body, "Idempotency-Key", key); a.Durability != "stream" {
		t.Errorf("durability of the repeat %q", a.Durability)
	}
	s.wantEqual()
	s.flush()

	s.want(200, "POST", "1/inventory", body, "Idempotency-Key", key)

	if n := s.quantity(1, "hot", "gem"); n != 6 {
		t.Errorf("%d gems, want 6", n)
	}
}

// What a newer build has kept for a request is not understood. That is an error, and the
// request is not carried out again.
func TestKeptAnswerOfANewerBuildIsAnError(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	key, body := uuid.NewString(), `{"changes":[{"item_id":"gem","delta":1}]}`
	s.want(200, "POST", "1/inventory", body, "Idempotency-Key", key)
	kept, err := s.redis.HGet(t.Context(), "{ac:1}:requests", key).Result()
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(kept, `"answer":`, `"something":`, 1)
	if err := s.redis.HSet(t.Context(), "{ac:1}:requests", key, newer).Err(); err != nil {
		t.Fatal(err)
	}

	s.want(500, "POST", "1/inventory", body, "Idempotency-Key", key)

	if a := s.want(200, "POST", "1/inventory", body); len(a.Items) != 1 || a.Items[0].Quantity != 2 {
		t.Errorf("one more gem, after one that was counted once: %+v", a.Items)
	}
}
