package gateway_test

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// sleepyHot is the real hot state, for a gateway that sleeps before it keeps a refusal.
type sleepyHot struct {
	gateway.Hot
	meanwhile func()
}

func (h sleepyHot) Refuse(ctx context.Context, char events.CharID, r game.Request) error {
	h.meanwhile()
	return h.Hot.Refuse(ctx, char, r)
}

// A request is about to be refused, when its repeat is carried out by another gateway, and
// Redis loses its memory: the stream knows the answer, and the refusal is none.
func TestRefusalDoesNotHideAnAnswerThatRedisHasLost(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":1}]}`)
	awake, asleep, key := s.gateways[0], s.service(), []string{"Idempotency-Key", uuid.NewString()}
	const two = `{"changes":[{"item_id":"gem","delta":-2}]}`
	asleep.Hot = sleepyHot{s.hot, sync.OnceFunc(func() {
		s.gateways = []served{awake}
		s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":5}]}`)
		s.want(200, "POST", "1/inventory", two, key...)
		s.flush()
	})}
	s.gateways = []served{s.serve(asleep)}

	s.want(200, "POST", "1/inventory", two, key...)
	s.gateways = []served{awake}
	s.want(200, "POST", "1/inventory", two, key...)
	if n := s.quantity(1, "hot", "gem"); n != 4 {
		t.Errorf("%d gems, want 1 + 5 - 2", n)
	}
}
