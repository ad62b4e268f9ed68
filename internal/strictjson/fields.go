// Package strictjson reads JSON objects whose fields are known: unknown,
// repeated and missing fields are errors that name the field, and so is a value
// of the wrong type. It sits on the tokenizer of go-faster/jx, because decoding
// was the largest part of a saver's work with encoding/json (docs/decisions).
package strictjson

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-faster/jx"
)

// What can be wrong with a field. A FieldError wraps one of them, or an error
// of the caller's.
var (
	ErrUnknown   = errors.New("unknown field")
	ErrDuplicate = errors.New("field given twice")
	ErrMissing   = errors.New("field is missing")
	ErrType      = errors.New("wrong type")
	ErrSyntax    = errors.New("not valid JSON")
)

// A FieldError says which field is wrong and why. Field is a path as in
// "data.items[2].quantity", empty for the document itself.
type FieldError struct {
	Field string
	Err   error
}

func (e *FieldError) Error() string {
	if e.Field == "" {
		return e.Err.Error()
	}
	return e.Field + ": " + e.Err.Error()
}

func (e *FieldError) Unwrap() error { return e.Err }

// In puts the name of the enclosing field before the path of err.
func In(name string, err error) error {
	var field *FieldError
	if !errors.As(err, &field) {
		return &FieldError{Field: name, Err: err}
	}
	switch {
	case field.Field == "":
		return &FieldError{Field: name, Err: field.Err}
	case strings.HasPrefix(field.Field, "["):
		return &FieldError{Field: name + field.Field, Err: field.Err}
	}
	return &FieldError{Field: name + "." + field.Field, Err: field.Err}
}

// Fields is the set of fields that an object may have, at most 64.
type Fields struct {
	names    []string
	required uint64
}

// NewFields makes a set; a name that ends in "?" may be left out.
func NewFields(names ...string) Fields {
	f := Fields{names: make([]string, len(names))}
	for i, name := range names {
		trimmed, optional := strings.CutSuffix(name, "?")
		f.names[i] = trimmed
		if !optional {
			f.required |= 1 << i
		}
	}
	return f
}

// Read reads one object from d. For each field it calls read with the field's
// index in the set; read must consume the value.
func (f Fields) Read(d *jx.Decoder, read func(i int) error) error {
	if d.Next() != jx.Object {
		return wrongType(d, "must be an object")
	}
	var seen uint64
	err := d.ObjBytes(func(_ *jx.Decoder, key []byte) error {
		i := f.index(key)
		if i < 0 {
			return &FieldError{Field: string(key), Err: ErrUnknown}
		}
		if seen&(1<<i) != 0 {
			return &FieldError{Field: f.names[i], Err: ErrDuplicate}
		}
		seen |= 1 << i
		if err := read(i); err != nil {
			return In(f.names[i], err)
		}
		return nil
	})
	if err != nil {
		return asFieldError(err)
	}
	return f.missing(seen)
}

func (f Fields) index(key []byte) int {
	for i, name := range f.names {
		if string(key) == name {
			return i
		}
	}
	return -1
}

func (f Fields) missing(seen uint64) error {
	if f.required&^seen == 0 {
		return nil
	}
	for i, name := range f.names {
		if f.required&^seen&(1<<i) != 0 {
			return &FieldError{Field: name, Err: ErrMissing}
		}
	}
	return nil
}

// asFieldError unwraps what the tokenizer put around a FieldError; anything
// else is a fault of syntax.
func asFieldError(err error) error {
	var field *FieldError
	if errors.As(err, &field) {
		return field
	}
	return &FieldError{Err: fmt.Errorf("%w: %w", ErrSyntax, err)}
}
