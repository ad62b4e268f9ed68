package gateway_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// heldHot is the real Redis, to which a gateway's commits of one character come
// when the test says so.
type heldHot struct {
	gateway.Hot
	char   events.CharID // 0 for all
	decide chan struct{} // has a value when a commit was decided on
	commit chan struct{} // lets one through
}

func (h *heldHot) Commit(ctx context.Context, c *game.Change, r game.Request) error {
	if c.Char == h.char || h.char == 0 {
		h.decide <- struct{}{}
		<-h.commit
	}
	return h.Hot.Commit(ctx, c, r)
}

// holdCommits gives the nth gateway a Redis that holds back its commits of a character.
func (s *system) holdCommits(n int, char events.CharID) *heldHot {
	held := &heldHot{Hot: s.hot, char: char, decide: make(chan struct{}), commit: make(chan struct{})}
	service := s.service()
	service.Hot = held
	s.gateways[n] = s.serve(service)
	return held
}

// Two gateways go on with the same trade, and decide before either commits. The one
// that comes too late has decided on a higher version; nobody may hear of that: as
// the row's newest, it would hide what the receiver does in between.
func TestTradeIsPublishedAsItWasCommitted(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "POST", "1/inventory", fiveGems)
	s.want(200, "POST", "2/inventory", fiveGems)
	early, late := s.holdCommits(0, 2), s.holdCommits(1, 2)
	body := tradeBody(uuid.New(), 1, 2, "gem", 2)
	answers := make(chan reply, 2)
	ask := func(n int) {
		r, err := s.transfer(n, body)
		if err != nil {
			t.Error(err)
		}
		answers <- r
	}
	go ask(0)
	<-early.decide
	go ask(1)
	<-late.decide

	early.commit <- struct{}{}
	var first, second gateway.TransferAnswer
	(<-answers).into(t, &first)
	late.commit <- struct{}{}
	(<-answers).into(t, &second)

	if first.ToVersion == 0 || second.ToVersion != first.ToVersion {
		t.Errorf("answered %+v and %+v, want one trade", first, second)
	}
	for _, e := range s.published() {
		for _, carried := range e.Transfers() {
			if carried.Completed() && carried.ToVersion != first.ToVersion {
				t.Errorf("an event of character %d says that the receiver got the items at version %d, want %d", e.CharID, carried.ToVersion, first.ToVersion)
			}
		}
	}
}
