package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// heldCold is the real PostgreSQL, whose answers come when the test says so.
type heldCold struct {
	gateway.Cold
	read chan struct{} // has a value when a character was read
	goOn chan struct{} // lets one answer through
}

func (c *heldCold) Load(ctx context.Context, char events.CharID) (*game.State, error) {
	state, err := c.Cold.Load(ctx, char)
	c.read <- struct{}{}
	<-c.goOn
	return state, err
}

// A player who was away for hours is given something, and Redis would have room for
// others as soon as that is saved. A join that had begun before must not bring back what
// was before it.
func TestGiftOutlivesAJoinThatBeganBefore(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	hoursAgo := s.service()
	hoursAgo.Now = func() time.Time { return time.Now().Add(-3 * time.Hour) }
	s.must(s.change(hoursAgo, 2, "rope", 1))
	s.want(200, "POST", "1/inventory", fiveGems)
	s.wantEqual()
	s.sweep(0)
	if s.redis.Exists(t.Context(), "ac:2").Val() != 0 {
		t.Fatal("the idle character is still there")
	}
	slow := s.service()
	held := &heldCold{s.cold, make(chan struct{}), make(chan struct{})}
	slow.Cold = held
	looked := make(chan error, 1)
	go func() {
		_, err := slow.Look(t.Context(), 2)
		looked <- err
	}()
	<-held.read

	s.wantTransfer(200, tradeBody(uuid.New(), 1, 2, "gem", 2))
	s.wantEqual()
	s.sweep(0)
	held.goOn <- struct{}{}
	s.must(<-looked)

	s.wantGems("after the join", "hot", 3, 2)
	s.must(s.change(s.service(), 2, "gem", 1))
	s.wantEqual()
	s.wantGems("after the next gem", "cold", 3, 3)
}

// What players do in a long fight is in Redis alone. One that has lost its memory knows
// of the fight, by the mirror, and not that somebody was seen in it a moment ago.
func TestLongFightGoesOnAfterRedisWasEmptied(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	before := s.service()
	before.Now = func() time.Time { return time.Now().Add(-20 * time.Minute) }
	fight, err := before.Enter(t.Context(), 1, game.Entry{Context: game.ContextCombat}, gateway.Options{})
	s.must(err)
	s.want(200, "PATCH", "1/contexts/combat", sessionBody(fight.SessionID, `,"round":7`))
	s.flush()

	s.sweep(0)
	s.sweep(10 * time.Second)
	s.want(200, "PATCH", "1/contexts/combat", sessionBody(fight.SessionID, `,"round":8`))

	// Nor when it is joined once more.
	s.flush()
	s.sweep(0)
	s.must(s.service().Rejoin(t.Context(), 1))
	s.sweep(10 * time.Second)
	s.want(200, "POST", "1/contexts/combat/finish", sessionBody(fight.SessionID, `,"outcome":"victory","xp":50`))
}
