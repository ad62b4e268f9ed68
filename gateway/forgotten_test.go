package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
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
		_, err := slow.Character(t.Context(), 2)
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

// While Redis is away it sees nobody. Those whom it had in a fight have as long as ever
// when it is back.
func TestFightGoesOnAfterRedisWasLongAway(t *testing.T) {
	t.Parallel()
	server := stacktest.OwnRedis(t)
	s := newSystemOn(t, server.URL())
	s.save()
	before, longAgo := s.service(), time.Now().Add(-20*time.Minute)
	before.Now = func() time.Time { return longAgo }
	fight, err := before.Enter(t.Context(), 1, game.Entry{Context: game.ContextCombat}, gateway.Options{})
	s.must(err)
	s.must(s.redis.HSet(t.Context(), "ac:1", "last_seen", longAgo.UnixMicro()).Err())
	all := s.dump("ac:1", "{ac:1}:session:"+fight.SessionID.String(), "open", "idle")
	s.must(server.Kill())
	stacktest.RestartRedis(t, server.Config())
	s.flush()
	s.restore(all)

	s.sweep(0)
	s.sweep(10 * time.Second)
	s.want(200, "POST", "1/contexts/combat/finish", sessionBody(fight.SessionID, `,"outcome":"victory","xp":50`))
}

// A version says what the clock of the gateway says, which may be behind: no player is
// taken for silent because of it.
func TestFightGoesOnWhereTheClockOfItsGatewayIsBehind(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	behind := s.service()
	behind.Now = func() time.Time { return time.Now().Add(-20 * time.Minute) }
	s.gateways = []served{s.serve(behind)}
	fight := s.want(201, "POST", "1/contexts/combat", "")
	s.want(200, "PATCH", "1/contexts/combat", sessionBody(fight.SessionID, `,"round":7`))

	s.sweep(0)
	s.want(200, "POST", "1/contexts/combat/finish", sessionBody(fight.SessionID, `,"outcome":"victory","xp":50`))
}
