package strictjson_test

import (
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// FuzzDocument: what is one document of JSON is not a matter of opinion. The
// twin is encoding/json, which does not mind text that is not UTF-8.
func FuzzDocument(f *testing.F) {
	for _, body := range []string{
		"", " ", "null", "nul", "{}", "{} {}", "[1,2]", "[1,2,]", `{"a":{"b":[-0.5e-7,true,false,null,"x"]}}`, `{"a":1,}`,
		`"\u00e4\ud83d\ude00"`, `"\x"`, "\"\x01\"", "\"\xff\"", "01", "-", "-01", "1.", ".5", "1e", "1e+", "+1", "0x1", "1_000", "\ufeff{}", "//a\n1", "[", "]", "\x00",
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := strictjson.Document(body, func(d *jx.Decoder) error {
			_, err := strictjson.Raw(d)
			return err
		})
		if want := json.Valid(body) && utf8.Valid(body); want != (err == nil) {
			t.Errorf("%q: %v, but encoding/json and unicode/utf8 say %v", body, err, want)
		}
		if err != nil && !errors.Is(err, strictjson.ErrSyntax) {
			t.Errorf("%q: %v is no fault of syntax", body, err)
		}
	})
}
