package hot_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// What a sender holds in escrow goes when its own trade is saved as completed, whatever its
// mark says: a trade of others under the same id, older or newer, may have set it.
func TestEscrowStaysUntilItsOwnTradeIsSaved(t *testing.T) {
	for name, newer := range map[string]events.Version{"older": 0, "newer": 1000} {
		t.Run(name, func(t *testing.T) { escrowStays(t, newer) })
	}
}

func escrowStays(t *testing.T, newer events.Version) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		r.commit(r.items(char, game.ItemDelta{ItemID: "gem", Delta: 5}))
		others := r.next() + newer
		change, trade, err := game.Give(&r.load(char).State, r.next(), game.Trade{
			ID: uuid.New(), From: char, To: char + 1, Items: []game.ItemDelta{{ItemID: "gem", Delta: 2}},
		})
		r.must(err)
		r.commit(change)
		row := events.RowTransfer(trade.ID)
		clear := func(v events.Version) {
			t.Helper()
			r.must(r.store.Clear(r.ctx, map[events.CharID]events.RowVersions{char: {row: v}}))
		}

		clear(trade.Version + 100)
		lower := r.items(char, game.ItemDelta{ItemID: "coin", Delta: 1})
		data := lower.Events[0].Data.(events.Inventory)
		data.Transfers = []events.Transfer{{
			ID: trade.ID, From: char + 2, To: char + 1, Version: others, ToVersion: others + 1, Items: trade.Items,
		}}
		lower.Events[0].Data = data
		r.commit(lower)
		equal(t, "mark of the others' trade", r.marks(char)[row], others+1)
		clear(others + 1)
		if len(r.load(char).Transfers) != 1 {
			t.Fatal("a trade in escrow was forgotten when others' was saved")
		}

		clear(trade.Version + 1)
		if left := r.load(char); len(left.Transfers) != 0 || r.marks(char)[row] != 0 {
			t.Errorf("its own is saved, and left are %v, mark %d", left.Transfers, r.marks(char)[row])
		}
	})
}
