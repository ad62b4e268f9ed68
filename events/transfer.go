package events

import (
	"cmp"
	"fmt"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// A Transfer is a trade: items that go from one character to another. It is in
// escrow from the sender's change until the receiver's. An event of an item that
// a trade has touched carries the trades that are not saved yet, so that whoever
// saves the event makes both sides of each visible at once.
type Transfer struct {
	ID   uuid.UUID `json:"transfer_id"`
	From CharID    `json:"from"`
	To   CharID    `json:"to"`
	// Version is that of the sender's change.
	Version Version `json:"version"`
	// ToVersion is that of the receiver's change; 0 while the trade is in escrow, TakenBack
	// where the sender has the items again.
	ToVersion Version `json:"to_version,omitempty"`
	Items     []Moved `json:"items"` // at least one, each item once
}

// Moved is how many of an item changed hands, and what each side then had.
type Moved struct {
	ItemID       string `json:"item_id"`
	Quantity     int64  `json:"quantity"`      // at least 1
	FromQuantity int64  `json:"from_quantity"` // the sender's, at Version
	ToQuantity   int64  `json:"to_quantity"`   // the receiver's, at ToVersion; 0 in escrow
}

// RowTransfer is the key of a trade's row.
func RowTransfer(id uuid.UUID) RowKey { return RowKey(transferPrefix + id.String()) }

const transferPrefix = "transfer:"

// TakenBack is below every version of a change, and above that of a trade in escrow: where
// copies are joined, a trade that was taken back stays so.
const TakenBack Version = 1

// InEscrow reports whether neither side has the items.
func (t *Transfer) InEscrow() bool { return t.ToVersion == 0 }

// Completed reports whether the receiver has the items.
func (t *Transfer) Completed() bool { return t.ToVersion > TakenBack }

// SameSides reports whether another trade, of the same id, is between the same characters.
// The id of one is not used for others but by mistake.
func (t *Transfer) SameSides(other *Transfer) bool { return t.From == other.From && t.To == other.To }

// Before reports whether another copy of the trade is newer: a completed one is
// newer than one in escrow. Of two that were completed, because Redis had lost the
// first before anybody was told of it, the later counts.
func (t *Transfer) Before(other *Transfer) bool {
	return cmp.Or(cmp.Compare(t.ToVersion, other.ToVersion), cmp.Compare(t.Version, other.Version)) < 0
}

func (t *Transfer) validate() error {
	switch {
	case t.ID == uuid.Nil:
		return wrong("transfer_id", ErrMissingField)
	case t.From < 1:
		return wrong("from", ErrCharID)
	case t.To < 1:
		return wrong("to", ErrCharID)
	case t.From == t.To:
		return wrong("to", ErrOneself)
	case t.Version < 1 || t.Version > maxVersion:
		return wrong("version", ErrVersion)
	case t.ToVersion < 0 || t.ToVersion > maxVersion:
		return wrong("to_version", ErrVersion)
	case len(t.Items) == 0:
		return wrong("items", ErrEmpty)
	}
	seen := make(map[string]bool, len(t.Items))
	for i, m := range t.Items {
		if err := m.validate(); err != nil {
			return strictjson.In(fmt.Sprintf("items[%d]", i), err)
		}
		if seen[m.ItemID] {
			return wrong(fmt.Sprintf("items[%d].item_id", i), fmt.Errorf("%w: %q", ErrRepeated, m.ItemID))
		}
		seen[m.ItemID] = true
	}
	return nil
}

func (m Moved) validate() error {
	switch {
	case CheckText(m.ItemID) != nil:
		return wrong("item_id", ErrText)
	case m.Quantity < 1:
		return wrong("quantity", ErrQuantity)
	case m.FromQuantity < 0:
		return wrong("from_quantity", ErrQuantity)
	case m.ToQuantity < 0:
		return wrong("to_quantity", ErrQuantity)
	}
	return nil
}

func validateTransfers(list []Transfer) error {
	for i := range list {
		if err := list[i].validate(); err != nil {
			return strictjson.In(fmt.Sprintf("transfers[%d]", i), err)
		}
	}
	return nil
}

// A carrier is data that may carry trades.
type carrier interface{ carried() []Transfer }

func (v Inventory) carried() []Transfer { return v.Transfers }
func (v Combat) carried() []Transfer    { return v.Transfers }

// Transfers lists the trades that the event carries.
func (e *StateChanged) Transfers() []Transfer {
	if c, ok := e.Data.(carrier); ok {
		return c.carried()
	}
	return nil
}

// Row is the trade's row: at the version of the sender's change while it is in
// escrow, and one above after that.
func (t *Transfer) Row() Row {
	if t.InEscrow() {
		return Row{RowTransfer(t.ID), t.Version}
	}
	return Row{RowTransfer(t.ID), t.Version + 1}
}

// SettledFor reports whether a character is done with the trade when PostgreSQL
// has it as it is here: all are but the sender of one in escrow, who has to
// complete it.
func (t *Transfer) SettledFor(c CharID) bool { return !t.InEscrow() || t.From != c }

// transferRows adds the rows of the trades that a character is done with when
// an event that carries them is saved.
func transferRows(rows []Row, list []Transfer, c CharID) []Row {
	for i := range list {
		if list[i].SettledFor(c) {
			rows = append(rows, list[i].Row())
		}
	}
	return rows
}
