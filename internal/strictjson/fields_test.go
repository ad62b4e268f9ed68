package strictjson_test

import (
	"errors"
	"testing"

	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// A trip has a required field, an optional one, and a list of stops in it.
type trip struct {
	Name  string
	Miles int64
	Stops []string
}

var (
	tripFields = strictjson.NewFields("name", "miles?", "stops?")
	stopFields = strictjson.NewFields("town")
)

func readTrip(body string) (v trip, err error) {
	err = strictjson.Document([]byte(body), func(d *jx.Decoder) error {
		return tripFields.Read(d, func(i int) (err error) {
			switch i {
			case 0:
				v.Name, err = strictjson.String(d)
			case 1:
				v.Miles, err = strictjson.Int64(d)
			case 2:
				v.Stops, err = readStops(d)
			}
			return err
		})
	})
	return v, err
}

var errNowhere = errors.New("no such town")

func readStops(d *jx.Decoder) (stops []string, err error) {
	err = strictjson.Array(d, func(int) error {
		return stopFields.Read(d, func(int) error {
			town, err := strictjson.String(d)
			if town == "nowhere" {
				return errNowhere
			}
			stops = append(stops, town)
			return err
		})
	})
	return stops, err
}

func TestFieldsComeInAnyOrderAndOptionalOnesMayBeMissing(t *testing.T) {
	for _, body := range []string{
		`{"name":"north"}`,
		`{"miles":0,"name":"north"}`,
		"\t{ \"name\" : \"north\" ,\r\n\"stops\":[ ] } ",
		`{"n\u0061me":"n\u006frth"}`,
	} {
		if v, err := readTrip(body); err != nil || v.Name != "north" {
			t.Errorf("%s: %+v, %v", body, v, err)
		}
	}
	v, err := readTrip(`{"stops":[{"town":"a"},{"town":"b"}],"name":"","miles":-3}`)
	if err != nil || v.Miles != -3 || len(v.Stops) != 2 || v.Stops[1] != "b" {
		t.Errorf("all fields: %+v, %v", v, err)
	}
}

func TestWrongFieldIsNamedByItsPath(t *testing.T) {
	for body, want := range map[string]strictjson.FieldError{
		`{}`:                                  {Field: "name", Err: strictjson.ErrMissing},
		`{"miles":1}`:                         {Field: "name", Err: strictjson.ErrMissing},
		`{"name":"a","kind":1}`:               {Field: "kind", Err: strictjson.ErrUnknown},
		`{"name":"a","":1}`:                   {Field: "", Err: strictjson.ErrUnknown},
		`{"NAME":"a"}`:                        {Field: "NAME", Err: strictjson.ErrUnknown},
		`{"name?":"a"}`:                       {Field: "name?", Err: strictjson.ErrUnknown},
		`{"name":"a","name":"a"}`:             {Field: "name", Err: strictjson.ErrDuplicate},
		`{"name":"a","miles":1,"miles":1}`:    {Field: "miles", Err: strictjson.ErrDuplicate},
		`{"name":null}`:                       {Field: "name", Err: strictjson.ErrType},
		`{"name":"a","miles":"1"}`:            {Field: "miles", Err: strictjson.ErrType},
		`{"name":"a","stops":{}}`:             {Field: "stops", Err: strictjson.ErrType},
		`{"name":"a","stops":[1]}`:            {Field: "stops[0]", Err: strictjson.ErrType},
		`{"name":"a","stops":[[]]}`:           {Field: "stops[0]", Err: strictjson.ErrType},
		`{"name":"a","stops":[{}]}`:           {Field: "stops[0].town", Err: strictjson.ErrMissing},
		stops(`{"town":"a"},{"town":1}`):      {Field: "stops[1].town", Err: strictjson.ErrType},
		stops(`{"town":"a"},{"city":"b"}`):    {Field: "stops[1].city", Err: strictjson.ErrUnknown},
		stops(`{"town":"a","town":"a"}`):      {Field: "stops[0].town", Err: strictjson.ErrDuplicate},
		stops(`{"town":"nowhere"}`):           {Field: "stops[0].town", Err: errNowhere},
		`[]`:                                  {Field: "", Err: strictjson.ErrType},
		`"name"`:                              {Field: "", Err: strictjson.ErrType},
		`null`:                                {Field: "", Err: strictjson.ErrType},
		`{"name":`:                            {Field: "", Err: strictjson.ErrSyntax},
		`{"name":"a"`:                         {Field: "", Err: strictjson.ErrSyntax},
		`{"name":"a",}`:                       {Field: "", Err: strictjson.ErrSyntax},
		`{"name" "a"}`:                        {Field: "", Err: strictjson.ErrSyntax},
		`{name:"a"}`:                          {Field: "", Err: strictjson.ErrSyntax},
		`{"name":}`:                           {Field: "name", Err: strictjson.ErrSyntax},
		`{"name":"a"} {"name":"a"}`:           {Field: "", Err: strictjson.ErrSyntax},
		`{"name":"a"}]`:                       {Field: "", Err: strictjson.ErrSyntax},
		"":                                    {Field: "", Err: strictjson.ErrSyntax},
		"{\"name\":\"\xff\"}":                 {Field: "", Err: strictjson.ErrSyntax},
		stops(`{"town":"a"},`):                {Field: "stops[1]", Err: strictjson.ErrSyntax},
		stops(`{"town":"a"} {"town":"b"}`):    {Field: "stops", Err: strictjson.ErrSyntax},
		`{"name":"a","stops":[{"town":"a"]}]`: {Field: "stops[0]", Err: strictjson.ErrSyntax},
	} {
		_, err := readTrip(body)
		wantError(t, body, err, want)
	}
}

func stops(list string) string { return `{"name":"a","stops":[` + list + `]}` }

func wantError(t *testing.T, body string, err error, want strictjson.FieldError) {
	t.Helper()
	var field *strictjson.FieldError
	if !errors.As(err, &field) || field.Field != want.Field || !errors.Is(err, want.Err) {
		t.Errorf("%s: %v, want %q: %v", body, err, want.Field, want.Err)
	}
}

// Of several missing fields the first of the set is named, so that the answer
// does not depend on the order in the document.
func TestFirstMissingFieldIsNamed(t *testing.T) {
	set := strictjson.NewFields("a", "b?", "c", "d")
	err := strictjson.Document([]byte(`{"d":1,"b":1,"a":1}`), func(d *jx.Decoder) error {
		return set.Read(d, func(int) error { return d.Skip() })
	})
	wantError(t, "a, b, d", err, strictjson.FieldError{Field: "c", Err: strictjson.ErrMissing})
}

// Each enclosing field puts its name before the path, and the reason stays.
func TestPathGrowsFromTheInside(t *testing.T) {
	plain := errors.New("too far")
	for _, c := range []struct {
		err  error
		want string
	}{
		{plain, "trip: too far"},
		{&strictjson.FieldError{Err: plain}, "trip: too far"},
		{&strictjson.FieldError{Field: "town", Err: plain}, "trip.town: too far"},
		{&strictjson.FieldError{Field: "[2]", Err: plain}, "trip[2]: too far"},
		{&strictjson.FieldError{Field: "[2].town", Err: plain}, "trip[2].town: too far"},
	} {
		err := strictjson.In("trip", c.err)
		if err.Error() != c.want || !errors.Is(err, plain) {
			t.Errorf("%q, want %q", err, c.want)
		}
	}
	if err := (&strictjson.FieldError{Err: plain}); err.Error() != "too far" {
		t.Errorf("the document itself has no name: %q", err)
	}
}
