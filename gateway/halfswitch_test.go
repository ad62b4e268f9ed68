package gateway_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// blindMirror is the real mirror, which takes nothing: a bucket that is full, or a gateway
// that dies between an event and the mirror.
type blindMirror struct{ gateway.Mirror }

func (blindMirror) Put(context.Context, events.CharID, game.Contexts) error      { return errCut }
func (blindMirror) PutFirst(context.Context, events.CharID, game.Contexts) error { return errCut }

// A context switch says what it ended by events, and what it began by the mirror. Where
// the stream has the first and the mirror does not show the second, and Redis loses its
// memory, the session that the repeat of the switch is answered with is open all the same.
func TestHalfToldSwitchIsBroughtBackWhole(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	road := s.want(201, "POST", "1/contexts/scenario", `{"scenario_id":"old-road"}`)
	half := s.service()
	half.Mirror = blindMirror{s.bus.Mirror()}
	gateways := []served{s.serve(half), s.gateways[0]}
	key := []string{"Idempotency-Key", uuid.NewString()}
	s.gateways = gateways

	first := s.want(201, "POST", "1/contexts/combat", "", key...)
	if first.Durability != "hot" {
		t.Fatalf("durability %q where the mirror takes nothing", first.Durability)
	}
	s.flush()
	s.gateways = gateways[1:]
	again := s.want(201, "POST", "1/contexts/combat", "", key...)

	if again.SessionID != first.SessionID {
		t.Errorf("the repeat began %s, the first %s", again.SessionID, first.SessionID)
	}
	s.want(200, "POST", "1/contexts/combat/finish", sessionBody(again.SessionID, `,"outcome":"victory","xp":50`))
	if r := s.do(0, "PATCH", "1/contexts/scenario", sessionBody(road.SessionID, `,"step":3`)); r.Status != 409 {
		t.Errorf("the road goes on beside the fight: %d %s", r.Status, r.Body)
	}
	s.wantEqual()
}
