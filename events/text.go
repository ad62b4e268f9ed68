package events

import (
	"encoding/json"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// maxData is the largest free-form data, in bytes: an event and a request that
// carry it stay below MaxBytes.
const maxData = 192 << 10

const (
	maxText  = 128
	maxWord  = 32
	maxDepth = 32
)

// CheckText checks a name such as an item_id or a zone: 1 to 128 bytes of
// UTF-8 without control characters. The error is ErrText.
func CheckText(s string) error {
	if s == "" || len(s) > maxText || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return ErrText
	}
	return nil
}

// IsWord reports whether s is 1 to 32 lower-case letters, digits, - and _.
func IsWord(s string) bool {
	if s == "" || len(s) > maxWord {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return true
}

func isFinite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// CheckData checks free-form data: a JSON object that PostgreSQL can store as
// it is. The error is ErrData.
func CheckData(raw json.RawMessage) error {
	if len(raw) > maxData {
		return ErrData
	}
	good := false
	err := strictjson.Document(raw, func(d *jx.Decoder) error {
		good = d.Next() == jx.Object && storable(d, maxDepth)
		return stopUnless(good)
	})
	if err != nil {
		return ErrData
	}
	return nil
}

// storable consumes one value and reports whether each string in it is free of
// the character U+0000 and nothing is nested deeper than depth.
func storable(d *jx.Decoder, depth int) bool {
	ok := depth > 0
	switch d.Next() {
	case jx.String:
		s, err := d.Str()
		return err == nil && !strings.ContainsRune(s, 0)
	case jx.Array:
		err := d.Arr(func(d *jx.Decoder) error {
			ok = ok && storable(d, depth-1)
			return stopUnless(ok)
		})
		return ok && err == nil
	case jx.Object:
		err := d.Obj(func(d *jx.Decoder, key string) error {
			ok = ok && !strings.ContainsRune(key, 0) && storable(d, depth-1)
			return stopUnless(ok)
		})
		return ok && err == nil
	}
	return d.Skip() == nil
}

func stopUnless(ok bool) error {
	if !ok {
		return ErrData
	}
	return nil
}
