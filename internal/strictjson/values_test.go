package strictjson_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/go-faster/jx"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// read reads body as one value.
func read[T any](body string, value func(*jx.Decoder) (T, error)) (v T, err error) {
	err = strictjson.Document([]byte(body), func(d *jx.Decoder) (err error) {
		v, err = value(d)
		return err
	})
	return v, err
}

// reads checks which texts a reader takes, and as what.
func reads[T comparable](t *testing.T, value func(*jx.Decoder) (T, error), good map[string]T) {
	t.Helper()
	for body, want := range good {
		if got, err := read(body, value); got != want || err != nil {
			t.Errorf("%s is read as %v, %v, want %v", body, got, err, want)
		}
	}
}

// refuses checks which texts a reader refuses as being of the wrong type.
func refuses[T any](t *testing.T, value func(*jx.Decoder) (T, error), bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if got, err := read(body, value); !errors.Is(err, strictjson.ErrType) {
			t.Errorf("%s is read as %v, %v, want %v", body, got, err, strictjson.ErrType)
		}
	}
}

func TestIntegersAreWholeAndFitTheirType(t *testing.T) {
	reads(t, strictjson.Int64, map[string]int64{
		"0": 0, "-0": 0, " 7\n": 7, "9223372036854775807": math.MaxInt64, "-9223372036854775808": math.MinInt64,
	})
	refuses(t, strictjson.Int64, "1.0", "1.5", "1e3", "-1E0", "9223372036854775808", "-9223372036854775809",
		"99999999999999999999999", "-", `"1"`, "null", "true", "[1]", "{}")
	reads(t, strictjson.Int32, map[string]int32{"0": 0, "2147483647": math.MaxInt32, "-2147483648": math.MinInt32})
	refuses(t, strictjson.Int32, "2147483648", "-2147483649", "4294967296", "1.0", `"1"`)
}

func TestNumbersAreFinite(t *testing.T) {
	reads(t, strictjson.Float64, map[string]float64{
		"0": 0, "-2": -2, "1.5": 1.5, "0.1": 0.1, "1e3": 1000, "1E-2": 0.01, "-1.25e+2": -125,
		"1.7976931348623157e308": math.MaxFloat64, "5e-324": math.SmallestNonzeroFloat64, "1e-999": 0,
		"123456789.123456": 123456789.123456,
	})
	refuses(t, strictjson.Float64, "1e999", "-1e999", "1.8e308", `"1"`, "null", "[]")
}

func TestStringsAreUnescaped(t *testing.T) {
	reads(t, strictjson.String, map[string]string{
		`""`: "", `"a b"`: "a b", `"\"\\\/\b\f\n\r\t"`: "\"\\/\b\f\n\r\t", `"\u00fc\ud83d\ude00水"`: "ü😀水", `"\u0000"`: "\x00",
	})
	refuses(t, strictjson.String, "1", "null", "true", "[]", "{}")
}

// uuid.Parse takes four more forms; one value has one form here.
func TestUUIDsHaveOneForm(t *testing.T) {
	id := uuid.MustParse("0e3f6a52-3c7b-4f5e-9a64-2f1f0c9d7b11")
	reads(t, strictjson.UUID, map[string]uuid.UUID{
		`"0e3f6a52-3c7b-4f5e-9a64-2f1f0c9d7b11"`: id, `"0E3F6A52-3C7B-4F5E-9A64-2F1F0C9D7B11"`: id,
		`"00000000-0000-0000-0000-000000000000"`: uuid.Nil,
	})
	refuses(t, strictjson.UUID, `""`, `"0e3f6a523c7b4f5e9a642f1f0c9d7b11"`, `"{0e3f6a52-3c7b-4f5e-9a64-2f1f0c9d7b11}"`,
		`"urn:uuid:0e3f6a52-3c7b-4f5e-9a64-2f1f0c9d7b11"`, `"0e3f6a52-3c7b-4f5e-9a64-2f1f0c9d7b1"`,
		`"0e3f6a52-3c7b-4f5e-9a64-2f1f0c9d7b1g"`, `"0e3f6a523-c7b-4f5e-9a64-2f1f0c9d7b11"`, "42", "null")
}

func TestTimesAreReadAsUTC(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	reads(t, strictjson.Time, map[string]time.Time{
		`"2026-11-22T10:00:00Z"`: at, `"2026-11-22T11:30:00+01:30"`: at, `"2026-11-22T10:00:00.000000001Z"`: at.Add(1),
	})
	refuses(t, strictjson.Time, `""`, `"2026-11-22"`, `"2026-11-22T10:00:00"`, `"2026-11-22 10:00:00Z"`, `"2026-02-30T10:00:00Z"`,
		`"2026-11-22T25:00:00Z"`, "1795341600", "null")
}

func TestArrayIsReadInOrder(t *testing.T) {
	var seen []int
	err := strictjson.Document([]byte(" [ 5 , 6 ] "), func(d *jx.Decoder) error {
		return strictjson.Array(d, func(i int) error {
			seen = append(seen, i)
			n, err := strictjson.Int64(d)
			if int(n) != i+5 {
				t.Errorf("element %d is %d", i, n)
			}
			return err
		})
	})
	if err != nil || len(seen) != 2 {
		t.Errorf("elements %v, %v", seen, err)
	}
}

// Raw is the value as it stands, without the white space around it.
func TestRawIsTheValueAsItStands(t *testing.T) {
	for _, body := range []string{"null", "1e400", `"\u0041"`, "[ 1,\t2 ]", `{ "a" : { } }`} {
		raw, err := read(" "+body+"\n", strictjson.Raw)
		if string(raw) != body || err != nil {
			t.Errorf("%q, %v, want %q", raw, err, body)
		}
	}
	for _, body := range []string{"", "{", "[1,]", "tru", `"\x"`, "01", "1.", "--1"} {
		if raw, err := read(body, strictjson.Raw); !errors.Is(err, strictjson.ErrSyntax) {
			t.Errorf("%s: %q, %v", body, raw, err)
		}
	}
}

// What encoding/json writes is read as it was meant.
func TestValuesAreReadAsEncodingJSONWritesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		survives(t, rapid.Int64().Draw(t, "int"), strictjson.Int64)
		survives(t, rapid.Int32().Draw(t, "int32"), strictjson.Int32)
		survives(t, rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64).Draw(t, "float"), strictjson.Float64)
		survives(t, rapid.String().Draw(t, "string"), strictjson.String)
	})
}

func survives[T comparable](t *rapid.T, want T, value func(*jx.Decoder) (T, error)) {
	body, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(string(body), value); got != want || err != nil {
		t.Fatalf("%s is read as %v, %v", body, got, err)
	}
}
