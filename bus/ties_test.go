package bus_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// trade is one gem from one character to another, completed.
func (r *rig) trade(from, to events.CharID) events.Transfer {
	return events.Transfer{
		ID: uuid.New(), From: from, To: to, Version: events.Version(r.clock.Add(1)), ToVersion: events.Version(r.clock.Add(1)),
		Items: []events.Moved{{ItemID: "gem", Quantity: 1, FromQuantity: 4, ToQuantity: 1}},
	}
}

// What only the sender's event says of a trade, the receiver is told, until it is
// saved; and what was stored later than asked for is not looked at.
func TestTiesAreWhatUnsettledEventsCarry(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	source := r.source(events.ScopeInventory)
	saved, waiting, late := r.trade(1, 2), r.trade(1, 3), r.trade(1, 4)
	tell := func(trade events.Transfer) {
		r.must(r.bus.Publish(t.Context(), game.TransferEvent(trade, trade.From, []events.Transfer{trade})))
	}
	tell(saved)
	r.ack(r.take(source, 1)...)
	tell(waiting)
	before := r.stream("SYNC").State.LastTime
	tell(late)

	r.bus.SetAnswerMemory(time.Nanosecond)
	ties, err := r.bus.Ties(t.Context(), before)
	r.must(err)

	for char, want := range map[events.CharID]*events.Transfer{1: &waiting, 2: nil, 3: &waiting, 4: nil} {
		state := new(game.State)
		game.Join(state, new(game.State))
		if want != nil {
			side := game.TransferEvent(*want, char, []events.Transfer{*want})
			game.Join(state, game.FromEvent(&side))
		}
		got := new(game.State)
		game.Join(got, ties.State(char))
		equal(t, "what is known of "+char.String(), got.Rows(), state.Rows())
		equal(t, "trades of "+char.String(), got.Transfers, state.Transfers)
	}
}

func TestNothingIsWaitedForWhereAllIsSettled(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	trade := r.trade(1, 2)
	r.must(r.bus.Publish(t.Context(), game.TransferEvent(trade, trade.From, []events.Transfer{trade})))
	r.ack(r.take(r.source(events.ScopeInventory), 1)...)

	ties, err := r.bus.Ties(t.Context(), time.Now().Add(time.Hour))
	r.must(err)
	equal(t, "trades", ties.State(1).Transfers, map[uuid.UUID]events.Transfer(nil))
}
