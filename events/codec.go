package events

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/go-faster/jx"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// A DataDecoder reads the data of one scope from JSON. It must refuse unknown
// and missing fields, and must copy what it keeps of raw.
type DataDecoder func(raw []byte) (Data, error)

var decoders = map[Scope]DataDecoder{
	ScopeCombat:    decodeCombat,
	ScopeInventory: decodeInventory,
	ScopeVitals:    decodeVitals,
	ScopeScenario:  decodeScenario,
}

// Define adds a scope. Call it from an init function: it is not safe beside
// Decode. It panics where the scope is defined already or its name is not one
// token of a subject, because both are mistakes in the program.
func Define(s Scope, decode DataDecoder) {
	if decoders[s] != nil || s == ScopeCleanup || decode == nil {
		panic(fmt.Sprintf("events: scope %q is defined twice, or without a decoder", s))
	}
	if !IsWord(string(s)) {
		panic(fmt.Sprintf("events: scope %q must be lower-case letters, digits, - and _", s))
	}
	decoders[s] = decode
}

// Scopes lists the scopes that have state, in alphabetical order.
func Scopes() []Scope { return slices.Sorted(maps.Keys(decoders)) }

// HasState reports whether s is a scope whose changes are saved.
func (s Scope) HasState() bool { return decoders[s] != nil }

// wireEvent is the JSON form for encoding; envelope is the same for decoding.
type wireEvent struct {
	Schema     int        `json:"schema"`
	ID         uuid.UUID  `json:"id"`
	Scope      Scope      `json:"scope"`
	CharID     CharID     `json:"char_id"`
	Version    Version    `json:"version"`
	Cause      Cause      `json:"cause"`
	SessionID  *uuid.UUID `json:"session_id,omitempty"`
	OccurredAt time.Time  `json:"occurred_at"`
	Data       Data       `json:"data"`
}

var envelope = strictjson.NewFields("schema", "id", "scope", "char_id", "version", "cause", "session_id?", "occurred_at", "data")

// Encode returns the JSON form. It refuses what Decode would refuse, so that
// nothing leaves a publisher that a saver could not save.
func Encode(e *StateChanged) ([]byte, error) {
	if err := e.Validate(); err != nil {
		return nil, err
	}
	wire := wireEvent{
		Schema: Schema, ID: e.ID, Scope: e.Scope, CharID: e.CharID, Version: e.Version,
		Cause: e.Cause, OccurredAt: e.OccurredAt, Data: e.Data,
	}
	if e.SessionID != uuid.Nil {
		wire.SessionID = &e.SessionID
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // free-form data must come back byte for byte
	if err := enc.Encode(wire); err != nil {
		return nil, wrong("data", err)
	}
	if out.Len()-1 > MaxBytes {
		return nil, wrong("", ErrTooLarge)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// Decode reads and validates one event. The error is a FieldError that wraps
// one of the errors of this package. Decode keeps no part of body.
func Decode(body []byte) (StateChanged, error) {
	var (
		e      StateChanged
		data   []byte
		schema int64
	)
	if len(body) > MaxBytes {
		return e, wrong("", ErrTooLarge)
	}
	err := strictjson.Document(body, func(d *jx.Decoder) error {
		return envelope.Read(d, func(i int) (err error) {
			switch i {
			case 0:
				schema, err = decodeSchema(d)
			case 8:
				data, err = strictjson.Raw(d)
			default:
				err = e.decodeField(d, i)
			}
			return err
		})
	})
	if err != nil {
		return e, newerSchema(body, schema, err)
	}
	if e.Data, err = decodeData(e.Scope, data); err != nil {
		return e, err
	}
	return e, e.Validate()
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

func (e *StateChanged) decodeField(d *jx.Decoder, i int) (err error) {
	switch i {
	case 1:
		e.ID, err = strictjson.UUID(d)
	case 2:
		e.Scope, err = decodeText[Scope](d)
	case 3:
		e.CharID, err = decodeInt[CharID](d)
	case 4:
		e.Version, err = decodeInt[Version](d)
	case 5:
		e.Cause, err = decodeText[Cause](d)
	case 6:
		e.SessionID, err = strictjson.UUID(d)
	case 7:
		e.OccurredAt, err = strictjson.Time(d)
	}
	return err
}

func decodeText[T ~string](d *jx.Decoder) (T, error) {
	s, err := strictjson.String(d)
	return T(s), err
}

func decodeInt[T ~int64](d *jx.Decoder) (T, error) {
	n, err := strictjson.Int64(d)
	return T(n), err
}

func decodeData(s Scope, raw []byte) (Data, error) {
	decode := decoders[s]
	if decode == nil {
		return nil, wrong("scope", fmt.Errorf("%w: %q", ErrScope, s))
	}
	data, err := decode(raw)
	if err != nil {
		return nil, inData(err)
	}
	return data, nil
}

func inData(err error) error { return strictjson.In("data", err) }
