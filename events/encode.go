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
