package events

import (
	"fmt"

	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// Inventory says what became of some items of a character; items that it does
// not name are as they were. It is the data of ScopeInventory.
type Inventory struct {
	Items []ItemChange `json:"items"` // at least one, each item once
	// Transfers are the trades that the items come from and that may not be
	// saved yet.
	Transfers []Transfer `json:"transfers,omitempty"`
}

// An ItemChange is one item's change and the quantity that it led to.
type ItemChange struct {
	ItemID   string `json:"item_id"`
	Delta    int64  `json:"delta"`
	Quantity int64  `json:"quantity"` // at least 0
	// Version is the item's own version where it is older than the event's, as
	// in a dispatch of the whole bag; 0 means the event's.
	Version Version `json:"version,omitempty"`
}

// RowItem is the key of an item's row.
func RowItem(itemID string) RowKey { return RowKey("item:" + itemID) }

// Validate implements Data.
func (v Inventory) Validate(e *StateChanged) error {
	if len(v.Items) == 0 {
		return wrong("items", ErrEmpty)
	}
	if err := validateItems("items", v.Items, e.Version); err != nil {
		return err
	}
	return validateTransfers(v.Transfers)
}

func (Inventory) scope() Scope { return ScopeInventory }

// Rows implements Data.
func (v Inventory) Rows(e *StateChanged) []Row {
	return transferRows(itemRows(nil, v.Items, e.Version), v.Transfers, e.CharID)
}

// VersionIn is the item's version in an event of version v.
func (c ItemChange) VersionIn(v Version) Version {
	if c.Version != 0 {
		return c.Version
	}
	return v
}

func validateItems(field string, items []ItemChange, v Version) error {
	for i := range items {
		if err := items[i].validate(v); err != nil {
			return strictjson.In(fmt.Sprintf("%s[%d]", field, i), err)
		}
		if repeated(items, i) {
			return wrong(fmt.Sprintf("%s[%d].item_id", field, i), fmt.Errorf("%w: %q", ErrRepeated, items[i].ItemID))
		}
	}
	return nil
}

func (c ItemChange) validate(v Version) error {
	switch {
	case CheckText(c.ItemID) != nil:
		return wrong("item_id", ErrText)
	case c.Quantity < 0:
		return wrong("quantity", ErrQuantity)
	case c.Version < 0 || c.Version > v:
		return wrong("version", fmt.Errorf("%w, and not above the event's", ErrVersion))
	}
	return nil
}

// repeated reports whether items[i] names the same item as one before it. An
// event of 256 KiB holds some 3,000 items, which a scan still does in 5 ms.
func repeated(items []ItemChange, i int) bool {
	for j := range i {
		if items[j].ItemID == items[i].ItemID {
			return true
		}
	}
	return false
}

func itemRows(rows []Row, items []ItemChange, v Version) []Row {
	for i := range items {
		rows = append(rows, Row{RowItem(items[i].ItemID), items[i].VersionIn(v)})
	}
	return rows
}

func (v Inventory) write(w *writer) {
	w.ObjStart()
	w.FieldStart("items")
	w.items(v.Items)
	w.transfers(v.Transfers)
	w.ObjEnd()
}

// EncodeItems returns the JSON form of a list of items, as it is in events.
func EncodeItems(items []ItemChange) []byte {
	var w writer
	w.SetBytes(make([]byte, 0, 2+itemRoom*len(items)))
	w.items(items)
	return w.Bytes()
}

// itemRoom is what most items take, in bytes.
const itemRoom = 80

// items writes a list, empty where there are none, as readers expect.
func (w *writer) items(items []ItemChange) {
	w.ArrStart()
	for _, c := range items {
		w.ObjStart()
		w.str("item_id", c.ItemID)
		w.int("delta", c.Delta)
		w.int("quantity", c.Quantity)
		if c.Version != 0 {
			w.int("version", int64(c.Version))
		}
		w.ObjEnd()
	}
	w.ArrEnd()
}

var (
	inventoryFields  = strictjson.NewFields("items", "transfers?")
	itemChangeFields = strictjson.NewFields("item_id", "delta", "quantity", "version?")
)

func readInventory(d *jx.Decoder) (Data, error) {
	var v Inventory
	err := inventoryFields.Read(d, func(i int) (err error) {
		if i == 1 {
			v.Transfers, err = decodeTransfers(d)
			return err
		}
		v.Items, err = decodeItems(d)
		return err
	})
	return v, err
}

func decodeItems(d *jx.Decoder) (items []ItemChange, err error) {
	err = strictjson.Array(d, func(int) error {
		var c ItemChange
		err := itemChangeFields.Read(d, func(i int) (err error) {
			switch i {
			case 0:
				c.ItemID, err = strictjson.String(d)
			case 1:
				c.Delta, err = strictjson.Int64(d)
			case 2:
				c.Quantity, err = strictjson.Int64(d)
			case 3:
				c.Version, err = decodeInt[Version](d)
			}
			return err
		})
		items = append(items, c)
		return err
	})
	return items, err
}
