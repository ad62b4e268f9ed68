package game

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// A Trade asks for items to go from one character to another.
type Trade struct {
	ID       uuid.UUID
	From, To events.CharID
	Items    []ItemDelta // each at least 1, none twice
}

// Give takes the items of a trade from the sender s into escrow. The trade is
// complete when the receiver has them (Receive); until then it is the one
// record that holds them.
func Give(s *State, v events.Version, trade Trade) (*Change, events.Transfer, error) {
	c := newChange(s, v, PartItems)
	t := events.Transfer{ID: trade.ID, From: trade.From, To: trade.To, Version: v}
	deltas := make([]ItemDelta, len(trade.Items))
	for i, d := range trade.Items {
		deltas[i] = ItemDelta{d.ItemID, -d.Delta}
	}
	changes, err := c.applyItems(s, deltas)
	if err != nil {
		return nil, t, err
	}
	for _, item := range changes {
		t.Items = append(t.Items, events.Moved{ItemID: item.ItemID, Quantity: -item.Delta, FromQuantity: item.Quantity})
	}
	c.Transfers = map[uuid.UUID]events.Transfer{t.ID: t}
	carried := append(s.Carry(s.Char, itemsOf(t)...), t)
	c.Events = []events.StateChanged{TransferEvent(t, t.From, Carried(carried))}
	return c, t, nil
}

// Receive gives the items of a trade in escrow to the receiver s. carried are
// the unsaved trades that the sender's items come from.
func Receive(s *State, v events.Version, t events.Transfer, carried []events.Transfer) (*Change, events.Transfer, error) {
	c := newChange(s, v, PartItems)
	deltas := make([]ItemDelta, len(t.Items))
	for i, m := range t.Items {
		deltas[i] = ItemDelta{m.ItemID, m.Quantity}
	}
	changes, err := c.applyItems(s, deltas)
	if err != nil {
		return nil, t, err
	}
	c.Unseen = true // a gift is no sign of life
	t.ToVersion, t.Items = v, slices.Clone(t.Items)
	for i, item := range changes {
		t.Items[i].ToQuantity = item.Quantity
	}
	// What the receiver does with the items rests on the sender's trades, so it
	// keeps them, too.
	c.Transfers = s.learn(carried)
	c.Transfers[t.ID] = t
	all := slices.Concat(slices.Collect(maps.Values(s.Transfers)), carried, []events.Transfer{t})
	c.Events = []events.StateChanged{TransferEvent(t, t.To, Carried(all))}
	return c, t, nil
}

// learn returns the trades that are news to the character: none that it knows in
// this form or a newer one, because its mark would come back if it was saved since
// the state was loaded, and none that it sent and does not know any more, because
// those are saved.
func (s *State) learn(carried []events.Transfer) map[uuid.UUID]events.Transfer {
	news := make(map[uuid.UUID]events.Transfer, 1+len(carried))
	for _, t := range Carried(carried) {
		known, ok := s.Transfers[t.ID]
		if ok && known.Before(&t) || !ok && t.From != s.Char {
			news[t.ID] = t
		}
	}
	return news
}

func itemsOf(t events.Transfer) []string {
	ids := make([]string, len(t.Items))
	for i, m := range t.Items {
		ids[i] = m.ItemID
	}
	return ids
}

// TransferEvent says what a trade did to one of its sides. carried are the
// trades that have to become visible with it, itself among them.
func TransferEvent(t events.Transfer, side events.CharID, carried []events.Transfer) events.StateChanged {
	v, changes := t.Version, make([]events.ItemChange, len(t.Items))
	for i, m := range t.Items {
		changes[i] = events.ItemChange{ItemID: m.ItemID, Delta: -m.Quantity, Quantity: m.FromQuantity}
		if side == t.To {
			changes[i] = events.ItemChange{ItemID: m.ItemID, Delta: m.Quantity, Quantity: m.ToQuantity}
		}
	}
	if side == t.To {
		v = t.ToVersion
	}
	return events.New(side, v, events.CauseTransfer, uuid.Nil, events.ScopeInventory,
		events.Inventory{Items: changes, Transfers: carried})
}

// Carry lists the unsaved trades that an event of these items of a character
// has to carry: were the items saved without them, one side of a trade would be
// visible before the other. It is empty where no unsaved trade has touched any
// of the items. Otherwise it is all that the character knows of, since those
// trades may rest on each other.
func (s *State) Carry(char events.CharID, items ...string) []events.Transfer {
	if len(s.Transfers) == 0 {
		return nil
	}
	all := slices.Collect(maps.Values(s.Transfers))
	touched := slices.ContainsFunc(all, func(t events.Transfer) bool {
		return slices.ContainsFunc(items, func(id string) bool { return t.Names(char, id) })
	})
	if !touched {
		return nil
	}
	return Carried(all)
}

// MaxUnsaved bounds the items of the trades that are not saved and that one more
// trade would rest on. An event carries all of them, so that no item is visible
// twice or nowhere, and has to stay small: 256 items of the longest names are
// half of events.MaxBytes.
const MaxUnsaved = 256

// ErrUnsaved: so many trades wait to be saved that another would not fit into
// one event with them.
var ErrUnsaved = errors.New("too many trades of these characters wait to be saved")

// RoomForTrade returns ErrUnsaved where the trades that two characters know of
// leave no room for another one between them.
func RoomForTrade(from, to *State) error {
	items := 0
	for _, t := range newestOf(slices.Concat(slices.Collect(maps.Values(from.Transfers)), slices.Collect(maps.Values(to.Transfers)))) {
		items += len(t.Items)
	}
	if items > MaxUnsaved {
		return ErrUnsaved
	}
	return nil
}

// maxCarried bounds the items of the trades that one event carries. It leaves
// room above MaxUnsaved for trades that were begun at the same moment.
const maxCarried = MaxUnsaved + 128

// Carried orders trades for an event: each once, in its newest form, the newest
// trade first, and no more than fit.
func Carried(list []events.Transfer) []events.Transfer {
	out := slices.SortedFunc(maps.Values(newestOf(list)), func(a, b events.Transfer) int {
		return cmp.Or(cmp.Compare(b.Version, a.Version), cmp.Compare(a.ID.String(), b.ID.String()))
	})
	items := 0
	for i, t := range out {
		if items += len(t.Items); items > maxCarried && i > 0 {
			return out[:i]
		}
	}
	return out
}

// newestOf joins the copies of each trade.
func newestOf(list []events.Transfer) map[uuid.UUID]events.Transfer {
	newest := make(map[uuid.UUID]events.Transfer, len(list))
	for _, t := range list {
		newest[t.ID] = newerTransfer(newest[t.ID], t)
	}
	return newest
}

// newerTransfer joins two copies of a trade.
func newerTransfer(a, b events.Transfer) events.Transfer {
	if a.Version == 0 || a.Before(&b) {
		return b
	}
	return a
}
