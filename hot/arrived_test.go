package hot_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// A trade has arrived where its receiver remembers it: by the key of its
// request, also in the older generation, or as completed among its trades.
func TestTradeHasArrivedWhereItsReceiverRemembersIt(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		var trades []events.Transfer
		var keys []string
		trade := func() events.Transfer {
			sender, receiver := r.newcomer(), r.character()
			at := r.next()
			x := events.Transfer{ID: uuid.New(), From: sender, To: receiver, Version: at,
				Items: []events.Moved{{ItemID: "gem", Quantity: 2, FromQuantity: 3}}}
			trades, keys = append(trades, x), append(keys, "transfer:"+x.ID.String())
			return x
		}
		learn := func(x events.Transfer, request game.Request) {
			t.Helper()
			c := r.vitals(x.To, 7)
			if x.Completed() || request.Key == "" {
				c.Transfers = map[uuid.UUID]events.Transfer{x.ID: x}
			}
			r.must(r.store.Commit(r.ctx, c, request))
		}

		trade() // 0: nobody has heard of it
		x := trade()
		learn(x, game.Request{Key: keys[1], Record: "answer"}) // 1: by its key
		x = trade()
		learn(x, game.Request{Key: keys[2], Record: "answer"}) // 2: by its key, some time ago
		r.must(r.raw.Rename(r.ctx, "{ac:"+x.To.String()+"}:requests", "{ac:"+x.To.String()+"}:requests:old").Err())
		x = trade()
		learn(x, game.Request{}) // 3: known to be on its way, from an event that carried it
		x = trade()
		x.ToVersion = r.next()
		learn(x, game.Request{}) // 4: completed, the key is forgotten
		x = trade()
		learn(x, game.Request{Key: "another", Record: "answer"}) // 5: another request

		got, err := r.store.Arrived(r.ctx, trades, keys)
		r.must(err)
		equal(t, "arrived", got, []bool{false, true, true, false, true, false})

		none, err := r.store.Arrived(r.ctx, nil, nil)
		if err != nil || len(none) != 0 {
			t.Errorf("of no trade: %v, %v", none, err)
		}
	})
}
