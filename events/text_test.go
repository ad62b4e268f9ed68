package events_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/strictjson"
)

func TestNamesAreTextOf128Bytes(t *testing.T) {
	for name, good := range map[string]bool{
		"potion": true, " ": true, "Zürich": true, "水": true, "a\u00a0b": true, "\"<&>'": true,
		strings.Repeat("x", 128): true, strings.Repeat("é", 64): true,
		"": false, strings.Repeat("x", 129): false, strings.Repeat("é", 64) + "x": false,
		"\x00": false, "a\nb": false, "a\tb": false, "\x7f": false, "\u0085": false, "\xff": false, "a\xc3": false,
	} {
		err := events.CheckText(name)
		if good && err != nil || !good && !errors.Is(err, events.ErrText) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestWordsFitASubject(t *testing.T) {
	for word, good := range map[string]bool{
		"victory": true, "a": true, "chapter_2-b": true, "0": true, strings.Repeat("x", 32): true,
		"": false, strings.Repeat("x", 33): false, "Victory": false, "a b": false, "a.b": false, "*": false, ">": false, "é": false, "a\n": false,
	} {
		if events.IsWord(word) != good {
			t.Errorf("IsWord(%q) is %v", word, !good)
		}
	}
}

func TestFreeFormDataMustFitPostgreSQL(t *testing.T) {
	nested := func(n int) string { return strings.Repeat(`{"a":`, n) + "{}" + strings.Repeat("}", n) }
	lists := func(n int) string { return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}" }
	for data, good := range map[string]bool{
		"{}": true, ` {"a":[1,-2.5e3,true,false,null,"x",{}]} `: true, `{"a":1,"a":2}`: true, `{"":""}`: true,
		`{"a":"\u0001\ud83d\ude00"}`: true, `{"a":"\\u0000"}`: true, nested(31): true, lists(31): true,
		"": false, " ": false, "null": false, "1": false, `"{}"`: false, "[]": false, "true": false,
		"{": false, `{"a"}`: false, `{"a":1,}`: false, `{'a':1}`: false, `{"a":01}`: false, `{"a":.5}`: false, `{"a":NaN}`: false, `{"a":tru}`: false, `{"a":"\x"}`: false,
		`{"a":"\u0000"}`: false, `{"\u0000":1}`: false, `{"a":[[{"b":"x\u0000"}]]}`: false, "{\"a\":\"\x00\"}": false, nested(32): false, lists(32): false,
	} {
		err := events.CheckData([]byte(data))
		if good && err != nil || !good && !errors.Is(err, events.ErrData) {
			t.Errorf("%s: %v", data, err)
		}
	}
}

// Free-form data is kept without the white space that means nothing, and
// otherwise byte for byte: not sorted, not unescaped, numbers as they were.
func TestFreeFormDataIsKeptAsWritten(t *testing.T) {
	written := " { \"b\" : 1.50 ,\n\t\"a\":[ 1E2 , \"\\u003c<  >\" ] } "
	body := []byte(written)
	var kept []byte
	err := strictjson.Document(body, func(d *jx.Decoder) (err error) {
		kept, err = events.DecodeFreeForm(d)
		return err
	})
	clear(body) // it is a copy
	if want := `{"b":1.50,"a":[1E2,"\u003c<  >"]}`; string(kept) != want || err != nil {
		t.Errorf("%s, %v, want %s", kept, err, want)
	}
	err = strictjson.Document([]byte(`{"a":`), func(d *jx.Decoder) error {
		_, err := events.DecodeFreeForm(d)
		return err
	})
	if !errors.Is(err, events.ErrSyntax) {
		t.Errorf("cut off: %v", err)
	}
}
