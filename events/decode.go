package events

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

var envelopeFields = strictjson.NewFields("schema", "id", "scope", "char_id", "version", "cause", "session_id?", "occurred_at", "data")

// Decode reads and validates one event. The error is a FieldError that wraps
// one of the errors of this package. Decode keeps no part of body.
func Decode(body []byte) (e StateChanged, err error) {
	err = DecodeInto(body, &e)
	return e, err
}

// DecodeInto is Decode for those who have a place for the event: whatever was in e
// is overwritten, with what was read of the event where there is an error.
func DecodeInto(body []byte, e *StateChanged) (err error) {
	defer e.caught(&err)
	*e = StateChanged{}
	if len(body) > MaxBytes {
		return wrong("", ErrTooLarge)
	}
	var of envelope
	err = strictjson.Document(body, func(d *jx.Decoder) error {
		return envelopeFields.Read(d, func(i int) error { return e.decodeField(d, i, &of) })
	})
	if err != nil {
		return newerSchema(body, of.schema, err)
	}
	if e.Data == nil {
		if err := e.readLate(of.data); err != nil {
			return err
		}
	}
	return e.Validate()
}

// caught makes a panic of a game's own decoder, or of its data, an error of the event:
// everybody who reads that event would end at it, and at each start again. Elsewhere a
// panic is a bug, and goes on.
func (e *StateChanged) caught(err *error) {
	p := recover()
	if p == nil {
		return
	}
	switch e.Scope {
	case ScopeCombat, ScopeInventory, ScopeVitals, ScopeScenario, "":
		panic(p)
	}
	*err = wrong("data", fmt.Errorf("%w: %v", ErrPanicked, p))
}

func decodeSchema(d *jx.Decoder) (int64, error) {
	schema, err := strictjson.Int64(d)
	switch {
	case err != nil:
		return 0, err
	case schema < 1:
		return 0, ErrSchema
	case schema > Schema:
		return schema, fmt.Errorf("%w: %d, and this build reads up to %d", ErrSchemaNewer, schema, Schema)
	}
	return schema, nil
}

// newerSchema makes sure that an event of a newer schema is told by its schema,
// even where the first thing that this build does not know comes before it.
func newerSchema(body []byte, schema int64, err error) error {
	if schema != 0 {
		return err
	}
	var fields map[string]json.RawMessage // a struct would match Schema, too
	if json.Unmarshal(body, &fields) != nil {
		return err
	}
	if n, bad := strconv.ParseInt(string(fields["schema"]), 10, 64); bad == nil && n > Schema {
		return wrong("schema", fmt.Errorf("%w: %d, and this build reads up to %d", ErrSchemaNewer, n, Schema))
	}
	return err
}

// envelope is what an event does not keep of its message.
type envelope struct {
	schema int64
	data   []byte // as it stands, where it came before its scope
}

func (e *StateChanged) decodeField(d *jx.Decoder, i int, of *envelope) (err error) {
	switch i {
	case 0:
		of.schema, err = decodeSchema(d)
	case 1:
		e.ID, err = strictjson.UUID(d)
	case 2:
		e.Scope, err = decodeWord(d, ScopeVitals, ScopeInventory, ScopeCombat, ScopeScenario)
	case 3:
		e.CharID, err = decodeInt[CharID](d)
	case 4:
		e.Version, err = decodeInt[Version](d)
	case 5:
		e.Cause, err = decodeWord(d, causes...)
	case 6:
		e.SessionID, err = strictjson.UUID(d)
	case 7:
		e.OccurredAt, err = strictjson.Time(d)
	case 8:
		if e.Data, err = readData(d, e.Scope); err == nil && e.Data == nil {
			of.data, err = strictjson.Raw(d)
		}
	}
	return err
}

// decodeWord reads a string that is most often one of a few, which are then not
// copied again.
func decodeWord[T ~string](d *jx.Decoder, known ...T) (T, error) {
	text, err := strictjson.Text(d)
	for _, word := range known {
		if string(text) == string(word) {
			return word, err
		}
	}
	return T(text), err
}

func decodeInt[T ~int64](d *jx.Decoder) (T, error) {
	n, err := strictjson.Int64(d)
	return T(n), err
}

// readData reads the data where its scope is known, which it is in what Encode
// writes. Otherwise it reads nothing and returns nil.
func readData(d *jx.Decoder, s Scope) (Data, error) {
	if read := readers[s]; read != nil {
		return read(d)
	}
	return nil, nil
}

// readLate reads data that came before its scope.
func (e *StateChanged) readLate(raw []byte) error {
	read := readers[e.Scope]
	if read == nil {
		return wrong("scope", fmt.Errorf("%w: %q", ErrScope, e.Scope))
	}
	err := strictjson.Document(raw, func(d *jx.Decoder) (err error) {
		e.Data, err = read(d)
		return err
	})
	if err != nil {
		return inData(err)
	}
	return nil
}

func inData(err error) error { return strictjson.In("data", err) }
