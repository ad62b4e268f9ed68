package events

import (
	"bytes"
	"encoding/json"
	"sync"
	"time"

	"github.com/go-faster/jx"
	"github.com/google/uuid"
)

// Encode returns the JSON form. It refuses what Decode would refuse, so that
// nothing leaves a publisher that a saver could not save.
func Encode(e *StateChanged) ([]byte, error) { return Append(make([]byte, 0, 512), e) }

// Append is Encode at the end of to.
func Append(to []byte, e *StateChanged) ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	w := writers.Get().(*writer)
	defer writers.Put(w)
	w.Reset()
	w.SetBytes(to)
	w.err = nil
	w.ObjStart()
	w.int("schema", Schema)
	w.uuid("id", e.ID)
	w.str("scope", string(e.Scope))
	w.int("char_id", int64(e.CharID))
	w.int("version", int64(e.Version))
	w.str("cause", string(e.Cause))
	if e.SessionID != uuid.Nil {
		w.uuid("session_id", e.SessionID)
	}
	w.versionTime("occurred_at", e.OccurredAt)
	w.FieldStart("data")
	w.data(e.Data)
	w.ObjEnd()
	body := w.Bytes()
	w.SetBytes(nil)
	switch {
	case w.err != nil:
		return nil, wrong("data", w.err)
	case len(body)-len(to) > MaxBytes:
		return nil, wrong("", ErrTooLarge)
	}
	return body, nil
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

// A writer writes what events consist of, and remembers the first error.
type writer struct {
	jx.Encoder
	err error
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// writable is the data of this package's own scopes.
type writable interface{ write(w *writer) }

func (w *writer) data(d Data) {
	if own, ok := d.(writable); ok {
		own.write(w)
		return
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // free-form data must come back byte for byte
	w.fail(enc.Encode(d))
	w.Raw(bytes.TrimSuffix(out.Bytes(), []byte("\n")))
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) int(field string, n int64) {
	w.FieldStart(field)
	w.Int64(n)
}

func (w *writer) float(field string, v float64) {
	w.FieldStart(field)
	w.Float64(v)
}

func (w *writer) str(field, text string) {
	w.FieldStart(field)
	w.Str(text)
}

func (w *writer) uuid(field string, id uuid.UUID) { w.str(field, id.String()) }

// microseconds is RFC 3339 with all six digits: some readers take three or six.
const microseconds = "2006-01-02T15:04:05.000000Z07:00"

// versionTime writes the time of a version, which has microseconds; time any other.
func (w *writer) versionTime(field string, t time.Time) {
	if t.Nanosecond()%1000 != 0 || t.Year() > 9999 { // no version, or one that cannot be written
		w.time(field, t)
		return
	}
	w.FieldStart(field)
	w.ByteStr(t.AppendFormat(make([]byte, 0, len(microseconds)), microseconds))
}

func (w *writer) time(field string, t time.Time) {
	text, err := t.AppendText(make([]byte, 0, len(time.RFC3339Nano)))
	w.fail(err)
	w.FieldStart(field)
	w.ByteStr(text)
}

func (v Vitals) write(w *writer) {
	w.ObjStart()
	w.int("hp", int64(v.HP))
	w.int("energy", int64(v.Energy))
	w.FieldStart("location")
	w.ObjStart()
	w.str("zone", v.Location.Zone)
	w.float("x", v.Location.X)
	w.float("y", v.Location.Y)
	w.ObjEnd()
	w.ObjEnd()
}

func (v Inventory) write(w *writer) {
	w.ObjStart()
	w.FieldStart("items")
	w.items(v.Items)
	w.transfers(v.Transfers)
	w.ObjEnd()
}

func (v Combat) write(w *writer) {
	w.ObjStart()
	w.str("outcome", v.Outcome)
	w.time("started_at", v.StartedAt)
	w.time("finished_at", v.FinishedAt)
	w.int("rounds", int64(v.Rounds))
	w.int("xp_gained", v.XPGained)
	w.int("xp", v.XP)
	w.FieldStart("loot")
	w.items(v.Loot)
	w.transfers(v.Transfers)
	w.ObjEnd()
}

func (v Scenario) write(w *writer) {
	w.ObjStart()
	w.str("scenario_id", v.ScenarioID)
	w.int("step", int64(v.Step))
	w.str("status", v.Status)
	w.FieldStart("data")
	w.Raw(jx.Raw(v.Data))
	w.ObjEnd()
}

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
