package strictjson

import (
	"fmt"
	"io"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/go-faster/jx"
	"github.com/google/uuid"
)

// Document reads body as one JSON document and nothing after it. read must
// consume the document's value.
func Document(body []byte, read func(d *jx.Decoder) error) error {
	if !utf8.Valid(body) {
		return &FieldError{Err: fmt.Errorf("%w: not UTF-8", ErrSyntax)}
	}
	d := jx.GetDecoder()
	defer jx.PutDecoder(d)
	d.ResetBytes(body)
	if err := read(d); err != nil {
		return asFieldError(err)
	}
	if err := d.Skip(); err != io.EOF { // an EOF inside a value comes wrapped
		return &FieldError{Err: fmt.Errorf("%w: something follows the document", ErrSyntax)}
	}
	return nil
}

// Int64 reads an integer; 1.0 and 1e3 are not integers here.
func Int64(d *jx.Decoder) (int64, error) { return integer(d, 64) }

// Int32 reads an integer of 32 bits.
func Int32(d *jx.Decoder) (int32, error) {
	n, err := integer(d, 32)
	return int32(n), err
}

func integer(d *jx.Decoder, bits int) (int64, error) {
	if d.Next() != jx.Number {
		return 0, wrongType(d, "must be an integer")
	}
	n, err := d.Int64()
	if unused := 64 - bits; err != nil || n<<unused>>unused != n {
		return 0, &FieldError{Err: fmt.Errorf("%w: must be an integer of %d bits", ErrType, bits)}
	}
	return n, nil
}

// Float64 reads a number that a float64 can hold.
func Float64(d *jx.Decoder) (float64, error) {
	if d.Next() != jx.Number {
		return 0, wrongType(d, "must be a number")
	}
	// Not d.Float64: its fast path rounds twice, and wraps beyond 64 bits.
	text, err := d.Num()
	if err != nil {
		return 0, &FieldError{Err: fmt.Errorf("%w: must be a number", ErrType)}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return 0, &FieldError{Err: fmt.Errorf("%w: must be a finite number of 64 bits", ErrType)}
	}
	return f, nil
}

// String reads a string.
func String(d *jx.Decoder) (string, error) {
	text, err := Text(d)
	return string(text), err
}

// Text reads a string and returns its bytes, which the next read may overwrite.
func Text(d *jx.Decoder) ([]byte, error) {
	if d.Next() != jx.String {
		return nil, wrongType(d, "must be a string")
	}
	text, err := d.StrBytes()
	if err != nil {
		return nil, &FieldError{Err: fmt.Errorf("%w: %w", ErrSyntax, err)}
	}
	return text, nil
}

// UUID reads a UUID in its usual form of 36 characters.
func UUID(d *jx.Decoder) (uuid.UUID, error) {
	text, err := Text(d)
	if err != nil {
		return uuid.Nil, err
	}
	id, err := parseUUID(text)
	if err != nil {
		return uuid.Nil, &FieldError{Err: err}
	}
	return id, nil
}

// ParseUUID accepts the usual form only, where uuid.Parse takes four others.
func ParseUUID(text string) (uuid.UUID, error) { return parseUUID([]byte(text)) }

func parseUUID(text []byte) (uuid.UUID, error) {
	id, err := uuid.ParseBytes(text)
	if err != nil || len(text) != 36 {
		return uuid.Nil, fmt.Errorf("%w: must be a UUID of 36 characters", ErrType)
	}
	return id, nil
}

// Time reads an RFC 3339 time.
func Time(d *jx.Decoder) (time.Time, error) {
	text, err := Text(d)
	if err != nil {
		return time.Time{}, err
	}
	// Not time.Parse, which takes more than RFC 3339.
	var t time.Time
	err = t.UnmarshalText(text)
	t = t.UTC()
	if err != nil || t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}, &FieldError{Err: fmt.Errorf("%w: must be an RFC 3339 time", ErrType)}
	}
	return t, nil
}

// Array reads an array and calls read before each element; read must consume it.
func Array(d *jx.Decoder, read func(i int) error) error {
	if d.Next() != jx.Array {
		return wrongType(d, "must be an array")
	}
	i := 0
	err := d.Arr(func(*jx.Decoder) error {
		if err := read(i); err != nil {
			return In(fmt.Sprintf("[%d]", i), err)
		}
		i++
		return nil
	})
	if err != nil {
		return asFieldError(err)
	}
	return nil
}

// Raw returns the bytes of the next value, which is checked for syntax only.
// They are part of the document, not a copy.
func Raw(d *jx.Decoder) ([]byte, error) {
	d.Next() // Raw would keep the white space before the value
	raw, err := d.Raw()
	if err != nil {
		return nil, asFieldError(err)
	}
	return raw, nil
}

func wrongType(d *jx.Decoder, want string) error {
	if d.Next() == jx.Invalid {
		return &FieldError{Err: ErrSyntax}
	}
	return &FieldError{Err: fmt.Errorf("%w: %s", ErrType, want)}
}
