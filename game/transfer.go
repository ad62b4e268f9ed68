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

// Give takes the items of a trade from the sender s into escrow. The trade is complete
// when the receiver has them (Receive); until then it is the one record that holds them.
// Give returns ErrUnsaved where the event would not fit.
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
	carried, err := fitting(RestsOn(t, slices.Collect(maps.Values(s.Transfers))))
	if err != nil {
		return nil, t, err
	}
	c.Events = []events.StateChanged{TransferEvent(t, t.From, carried)}
	return c, t, nil
}

// TradeOf is a trade as it was asked for.
func TradeOf(t *events.Transfer) Trade {
	trade := Trade{t.ID, t.From, t.To, make([]ItemDelta, len(t.Items))}
	for i, m := range t.Items {
		trade.Items[i] = ItemDelta{m.ItemID, m.Quantity}
	}
	return trade
}

// Receive gives the items of a trade in escrow to the receiver s. known are the unsaved
// trades that the sender knows of. Receive returns ErrUnsaved where the event would not
// fit.
func Receive(s *State, v events.Version, t events.Transfer, known []events.Transfer) (*Change, events.Transfer, error) {
	c := newChange(s, v, PartItems)
	changes, err := c.applyItems(s, TradeOf(&t).Items)
	if err != nil {
		return nil, t, err
	}
	c.Unseen = true // a gift is no sign of life
	t.ToVersion, t.Items = v, slices.Clone(t.Items)
	for i, item := range changes {
		t.Items[i].ToQuantity = item.Quantity
	}
	known = slices.DeleteFunc(slices.Clone(known), func(k events.Transfer) bool {
		own, ok := s.Transfers[k.ID]
		return ok && !own.SameSides(&k) // its mark would hide that of the receiver's own
	})
	carried, err := fitting(RestsOn(t, slices.AppendSeq(known, maps.Values(s.Transfers))))
	if err != nil {
		return nil, t, err
	}
	// What the receiver does with the items rests on the sender's trades, so it
	// keeps them, too.
	c.Transfers = s.learn(carried)
	c.Transfers[t.ID] = t
	c.Events = []events.StateChanged{TransferEvent(t, t.To, carried)}
	return c, t, nil
}

// TakeBack returns the items of a trade in escrow to its sender s, once: where t tells
// that they were taken back before, s is a copy that has forgotten it, and gets none. The
// change is nil where the sender does not hold the trade.
func TakeBack(s *State, v events.Version, t events.Transfer) (*Change, error) {
	held := s.Transfers[t.ID]
	if held.From != s.Char || held.Version != t.Version || !held.InEscrow() {
		return nil, nil
	}
	deltas := TradeOf(&held).Items
	if !t.InEscrow() {
		for i := range deltas {
			deltas[i].Delta = 0
		}
	}
	c := newChange(s, v, PartItems)
	changes, err := c.applyItems(s, deltas)
	if err != nil {
		return nil, err
	}
	c.Unseen = true
	held.ToVersion = events.TakenBack
	carried, err := fitting(RestsOn(held, slices.Collect(maps.Values(s.Transfers))))
	if err != nil {
		return nil, err
	}
	c.Transfers = map[uuid.UUID]events.Transfer{held.ID: held}
	c.Events = []events.StateChanged{
		events.New(s.Char, v, events.CauseTransfer, uuid.Nil, events.ScopeInventory, events.Inventory{Items: changes, Transfers: carried}),
	}
	return c, nil
}

// learn returns the trades that are news to the character: none that it knows in
// this form or a newer one, because its mark would come back if it was saved since
// the state was loaded, and none that it sent and does not know any more, because
// those are saved.
func (s *State) learn(carried []events.Transfer) map[uuid.UUID]events.Transfer {
	news := make(map[uuid.UUID]events.Transfer, 1+len(carried))
	for _, t := range carried {
		known, ok := s.Transfers[t.ID]
		if ok && known.Before(&t) && known.SameSides(&t) || !ok && t.From != s.Char {
			news[t.ID] = t
		}
	}
	return news
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

// carry lists the unsaved trades that an event of these items of the character
// has to carry: were the items saved without them, one side of a trade would be
// visible before the other.
func (s *State) carry(items ...string) []events.Transfer {
	if len(s.Transfers) == 0 {
		return nil
	}
	shown := make([]side, len(items))
	for i, id := range items {
		shown[i] = side{s.Char, id}
	}
	return restOn(shown, s.Transfers)
}

// RestsOn lists the trades that an event which shows a trade has to carry: itself
// and those of known that it rests on.
func RestsOn(t events.Transfer, known []events.Transfer) []events.Transfer {
	all := newestOf(known)
	if same := all[t.ID]; !same.SameSides(&t) || same.Before(&t) {
		all[t.ID] = t
	}
	return restOn(sidesOf(&t), all)
}

// A side is an item that a character has.
type side struct {
	char events.CharID
	item string
}

// sidesOf lists what an event that carries a trade shows of it.
func sidesOf(t *events.Transfer) (sides []side) {
	for _, m := range t.Items {
		sides = append(sides, side{t.From, m.ItemID}, side{t.To, m.ItemID})
	}
	return sides
}

// restOn lists the trades that have changed what is shown, those that have changed what
// these show, and so on; the newest first. None of them may be left out: what became
// visible without one would have items twice, or nowhere.
func restOn(shown []side, known map[uuid.UUID]events.Transfer) (found []events.Transfer) {
	changed := make(map[side][]uuid.UUID)
	for id, t := range known {
		for _, s := range sidesOf(&t) {
			changed[s] = append(changed[s], id)
		}
	}
	left := maps.Clone(known)
	for len(shown) > 0 {
		last := shown[len(shown)-1]
		shown = shown[:len(shown)-1]
		for _, id := range changed[last] {
			if t, ok := left[id]; ok {
				delete(left, id)
				found, shown = append(found, t), append(shown, sidesOf(&t)...)
			}
		}
	}
	slices.SortFunc(found, func(a, b events.Transfer) int {
		return cmp.Or(cmp.Compare(b.Version, a.Version), cmp.Compare(a.ID.String(), b.ID.String()))
	})
	return found
}

const (
	// MaxUnsaved is how many items the unsaved trades that two characters know of may
	// have, all together, when one more trade between them begins.
	MaxUnsaved = 256
	// roomForTrades is how many bytes the trades of one event may take: MaxUnsaved
	// items of the longest names, or twice what one request may move, fit in, and beside
	// them in events.MaxBytes what one request may change.
	roomForTrades = 160 << 10
)

// ErrUnsaved is returned where so many trades wait to be saved that those which some
// items rest on do not fit into one event. None may be left out of it.
var ErrUnsaved = errors.New("too many trades of these characters wait to be saved; try again when savers have caught up")

// fitting returns the trades for an event, with ErrUnsaved where they do not fit.
func fitting(carried []events.Transfer) ([]events.Transfer, error) {
	size := 0
	for i := range carried {
		size += carried[i].MaxSize()
	}
	if size > roomForTrades {
		return carried, ErrUnsaved
	}
	return carried, nil
}

// MayTrade returns nil where the receiver can take the items of a trade, and the trades
// that the two characters know of leave room for another between them (else ErrUnsaved).
func MayTrade(from, to *State, trade Trade) error {
	all := newestOf(slices.AppendSeq(slices.Collect(maps.Values(from.Transfers)), maps.Values(to.Transfers)))
	items := 0
	for _, t := range all {
		items += len(t.Items)
	}
	if items > MaxUnsaved {
		return ErrUnsaved
	}
	next := events.Transfer{ID: trade.ID}
	for _, d := range trade.Items {
		next.Items = append(next.Items, events.Moved{ItemID: d.ItemID})
	}
	if _, err := fitting(slices.AppendSeq([]events.Transfer{next}, maps.Values(all))); err != nil {
		return err
	}
	_, err := ChangeItems(to, to.Version+1, trade.Items)
	return err
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
