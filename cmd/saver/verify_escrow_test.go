package main

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// A gateway died with a trade in escrow, and PostgreSQL has it in escrow, too. A repair
// calls that equal, and leaves the sender with the trade, and with the mark by which the
// sweeper finds it.
func TestRepairLeavesTradesInEscrow(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.save()
	r.play(1)
	trade := game.Trade{ID: uuid.New(), From: 1, To: 2, Items: []game.ItemDelta{{ItemID: "rope", Delta: 1}}}
	loaded, err := r.conns.hot.Load(t.Context(), trade.From, game.Want{AllItems: true, Transfers: true})
	r.must(err)
	change, _, err := game.Give(&loaded.State, events.NextVersion(loaded.Version, time.Now()), trade)
	r.must(err)
	r.must(r.conns.hot.Commit(t.Context(), change, game.Request{}))
	_, err = r.game.ChangeItems(t.Context(), trade.From, []game.ItemDelta{{ItemID: "rope", Delta: 1}}, gateway.Options{})
	r.must(err)
	stacktest.Eventually(t, "the escrow is saved", func() bool {
		saved, err := r.conns.cold.Transfers(t.Context(), []uuid.UUID{trade.ID})
		return err == nil && len(saved) == 1
	})

	_, _ = r.verify(verifyCmd{Repair: true, Wait: time.Second}) // what is in escrow is dirty

	defer r.sweep()()
	stacktest.Eventually(t, "the trade arrives", func() bool {
		receiver, err := r.conns.hot.Load(t.Context(), trade.To, game.Want{AllItems: true})
		return err == nil && receiver.Items["rope"].Quantity == 1
	})
}
