package game

import (
	"math"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// An ItemDelta asks for more (or fewer) of an item.
type ItemDelta struct {
	ItemID string
	Delta  int64
}

// ChangeItems applies all deltas or, where a quantity would go below zero,
// none. Each item is named once.
func ChangeItems(s *State, v events.Version, deltas []ItemDelta) (*Change, error) {
	c := newChange(s, v, PartItems)
	changes, err := c.applyItems(s, deltas)
	if err != nil {
		return nil, err
	}
	carried, err := fitting(s.carry(ItemIDs(deltas)...))
	if err != nil {
		return nil, err
	}
	c.Events = []events.StateChanged{
		events.New(s.Char, v, events.CauseAction, uuid.Nil, events.ScopeInventory, events.Inventory{
			Items: changes, Transfers: carried,
		}),
	}
	return c, nil
}

// ItemIDs are the items of some deltas, in their order.
func ItemIDs(deltas []ItemDelta) []string {
	ids := make([]string, len(deltas))
	for i, d := range deltas {
		ids[i] = d.ItemID
	}
	return ids
}

// applyItems puts the resulting quantities into the change and returns them
// with their deltas, as events carry them.
func (c *Change) applyItems(s *State, deltas []ItemDelta) ([]events.ItemChange, error) {
	changes := make([]events.ItemChange, 0, len(deltas))
	c.Items = make(map[string]Item, len(deltas))
	for _, d := range deltas {
		have := s.Items[d.ItemID].Quantity
		quantity, ok := add(have, d.Delta)
		switch {
		case !ok:
			return nil, &OverflowError{What: "quantity of " + d.ItemID}
		case quantity < 0:
			return nil, &InsufficientError{ItemID: d.ItemID, Have: have, Delta: d.Delta}
		}
		c.Items[d.ItemID] = Item{quantity, c.Version}
		changes = append(changes, events.ItemChange{ItemID: d.ItemID, Delta: d.Delta, Quantity: quantity})
	}
	return changes, nil
}

// add is a+b for a that is not negative, and whether it fits.
func add(a, b int64) (int64, bool) {
	if b > 0 && a > math.MaxInt64-b {
		return 0, false
	}
	return a + b, true
}
