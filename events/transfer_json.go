package events

import (
	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// MaxSize is how many bytes the trade takes in an event, at most. In JSON a byte of a
// name takes up to two.
func (t *Transfer) MaxSize() int {
	size := 196
	for i := range t.Items {
		size += 124 + 2*len(t.Items[i].ItemID)
	}
	return size
}

// transfers writes the field of that name, where there are any.
func (w *writer) transfers(all []Transfer) {
	if len(all) == 0 {
		return
	}
	w.FieldStart("transfers")
	w.ArrStart()
	for i := range all {
		all[i].write(w)
	}
	w.ArrEnd()
}

func (t *Transfer) write(w *writer) {
	w.ObjStart()
	w.uuid("transfer_id", t.ID)
	w.int("from", int64(t.From))
	w.int("to", int64(t.To))
	w.int("version", int64(t.Version))
	if t.ToVersion != 0 {
		w.int("to_version", int64(t.ToVersion))
	}
	w.FieldStart("items")
	w.ArrStart()
	for _, m := range t.Items {
		w.ObjStart()
		w.str("item_id", m.ItemID)
		w.int("quantity", m.Quantity)
		w.int("from_quantity", m.FromQuantity)
		w.int("to_quantity", m.ToQuantity)
		w.ObjEnd()
	}
	w.ArrEnd()
	w.ObjEnd()
}

var (
	transferFields = strictjson.NewFields("transfer_id", "from", "to", "version", "to_version?", "items")
	movedFields    = strictjson.NewFields("item_id", "quantity", "from_quantity", "to_quantity")
)

func decodeTransfers(d *jx.Decoder) (list []Transfer, err error) {
	err = strictjson.Array(d, func(int) error {
		var t Transfer
		err := transferFields.Read(d, func(i int) error { return t.decodeField(d, i) })
		list = append(list, t)
		return err
	})
	return list, err
}

func (t *Transfer) decodeField(d *jx.Decoder, i int) (err error) {
	switch i {
	case 0:
		t.ID, err = strictjson.UUID(d)
	case 1:
		t.From, err = decodeInt[CharID](d)
	case 2:
		t.To, err = decodeInt[CharID](d)
	case 3:
		t.Version, err = decodeInt[Version](d)
	case 4:
		t.ToVersion, err = decodeInt[Version](d)
	case 5:
		t.Items, err = decodeMoved(d)
	}
	return err
}

func decodeMoved(d *jx.Decoder) (items []Moved, err error) {
	err = strictjson.Array(d, func(int) error {
		var m Moved
		err := movedFields.Read(d, func(i int) (err error) {
			switch i {
			case 0:
				m.ItemID, err = strictjson.String(d)
			case 1:
				m.Quantity, err = strictjson.Int64(d)
			case 2:
				m.FromQuantity, err = strictjson.Int64(d)
			case 3:
				m.ToQuantity, err = strictjson.Int64(d)
			}
			return err
		})
		items = append(items, m)
		return err
	})
	return items, err
}
