package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/events"
)

// A refusal is what Decode has to say about a bad message.
type refusal struct {
	field string
	err   error
}

// refusals lists each file of testdata/bad: a golden message with one mistake.
var refusals = map[string]refusal{
	"unknown_top":                  {"realm", events.ErrUnknownField},
	"unknown_in_data":              {"data.mana", events.ErrUnknownField},
	"unknown_in_location":          {"data.location.z", events.ErrUnknownField},
	"unknown_in_item":              {"data.items[1].bound", events.ErrUnknownField},
	"unknown_in_loot":              {"data.loot[0].rare", events.ErrUnknownField},
	"unknown_in_scenario":          {"data.chapter", events.ErrUnknownField},
	"field_in_capitals":            {"Cause", events.ErrUnknownField},
	"twice_top":                    {"char_id", events.ErrDuplicateField},
	"twice_in_data":                {"data.hp", events.ErrDuplicateField},
	"twice_in_item":                {"data.items[1].delta", events.ErrDuplicateField},
	"twice_escaped":                {"data.hp", events.ErrDuplicateField},
	"id_null":                      {"id", events.ErrWrongType},
	"id_braced":                    {"id", events.ErrWrongType},
	"session_not_a_uuid":           {"session_id", events.ErrWrongType},
	"char_id_0":                    {"char_id", events.ErrCharID},
	"char_id_negative":             {"char_id", events.ErrCharID},
	"char_id_fraction":             {"char_id", events.ErrWrongType},
	"char_id_text":                 {"char_id", events.ErrWrongType},
	"char_id_over_64_bits":         {"char_id", events.ErrWrongType},
	"version_0":                    {"version", events.ErrVersion},
	"version_negative":             {"version", events.ErrVersion},
	"version_exponent":             {"version", events.ErrWrongType},
	"schema_0":                     {"schema", events.ErrSchema},
	"schema_negative":              {"schema", events.ErrSchema},
	"schema_text":                  {"schema", events.ErrWrongType},
	"schema_2":                     {"schema", events.ErrSchemaNewer},
	"schema_2_after_unknown":       {"schema", events.ErrSchemaNewer},
	"schema_2_last":                {"schema", events.ErrSchemaNewer},
	"schema_2_other_data":          {"schema", events.ErrSchemaNewer},
	"scope_unknown":                {"scope", events.ErrScope},
	"scope_cleanup":                {"scope", events.ErrScope},
	"scope_in_capitals":            {"scope", events.ErrScope},
	"scope_of_other_data":          {"data.hp", events.ErrUnknownField},
	"cause_unknown":                {"cause", events.ErrCause},
	"cause_empty":                  {"cause", events.ErrCause},
	"occurred_at_number":           {"occurred_at", events.ErrWrongType},
	"occurred_at_no_zone":          {"occurred_at", events.ErrWrongType},
	"data_null":                    {"data", events.ErrWrongType},
	"data_array":                   {"data", events.ErrWrongType},
	"hp_negative":                  {"data.hp", events.ErrQuantity},
	"hp_over_32_bits":              {"data.hp", events.ErrWrongType},
	"hp_null":                      {"data.hp", events.ErrWrongType},
	"energy_negative":              {"data.energy", events.ErrQuantity},
	"location_null":                {"data.location", events.ErrWrongType},
	"x_overflow":                   {"data.location.x", events.ErrWrongType},
	"y_overflow":                   {"data.location.y", events.ErrWrongType},
	"x_text":                       {"data.location.x", events.ErrWrongType},
	"x_nan":                        {"data.location.x", events.ErrSyntax},
	"zone_empty":                   {"data.location.zone", events.ErrText},
	"zone_129_bytes":               {"data.location.zone", events.ErrText},
	"zone_control":                 {"data.location.zone", events.ErrText},
	"zone_del":                     {"data.location.zone", events.ErrText},
	"zone_u0000":                   {"data.location.zone", events.ErrText},
	"items_empty":                  {"data.items", events.ErrEmpty},
	"items_object":                 {"data.items", events.ErrWrongType},
	"item_null":                    {"data.items[0]", events.ErrWrongType},
	"item_id_empty":                {"data.items[1].item_id", events.ErrText},
	"item_id_65_runes":             {"data.items[1].item_id", events.ErrText},
	"item_id_control":              {"data.items[1].item_id", events.ErrText},
	"item_twice":                   {"data.items[1].item_id", events.ErrRepeated},
	"quantity_negative":            {"data.items[0].quantity", events.ErrQuantity},
	"quantity_fraction":            {"data.items[0].quantity", events.ErrWrongType},
	"delta_over_64_bits":           {"data.items[1].delta", events.ErrWrongType},
	"item_version_above":           {"data.items[2].version", events.ErrVersion},
	"item_version_negative":        {"data.items[2].version", events.ErrVersion},
	"combat_no_session":            {"session_id", events.ErrMissingField},
	"combat_nil_session":           {"session_id", events.ErrMissingField},
	"outcome_empty":                {"data.outcome", events.ErrWord},
	"outcome_not_a_word":           {"data.outcome", events.ErrWord},
	"outcome_33_bytes":             {"data.outcome", events.ErrWord},
	"rounds_negative":              {"data.rounds", events.ErrQuantity},
	"xp_gained_negative":           {"data.xp_gained", events.ErrQuantity},
	"xp_negative":                  {"data.xp", events.ErrQuantity},
	"started_at_date":              {"data.started_at", events.ErrWrongType},
	"loot_null":                    {"data.loot", events.ErrWrongType},
	"loot_twice":                   {"data.loot[1].item_id", events.ErrRepeated},
	"loot_quantity_negative":       {"data.loot[1].quantity", events.ErrQuantity},
	"scenario_no_session":          {"session_id", events.ErrMissingField},
	"scenario_id_empty":            {"data.scenario_id", events.ErrText},
	"scenario_step_negative":       {"data.step", events.ErrQuantity},
	"scenario_status_in_capitals":  {"data.status", events.ErrWord},
	"scenario_data_list":           {"data.data", events.ErrData},
	"scenario_data_null":           {"data.data", events.ErrData},
	"scenario_data_text":           {"data.data", events.ErrData},
	"scenario_data_u0000":          {"data.data", events.ErrData},
	"scenario_data_u0000_in_key":   {"data.data", events.ErrData},
	"scenario_data_too_deep":       {"data.data", events.ErrData},
	"scenario_data_not_json":       {"data.data", events.ErrSyntax},
	"trade_with_oneself":           {"data.transfers[0].to", events.ErrOneself},
	"trade_from_0":                 {"data.transfers[0].from", events.ErrCharID},
	"trade_version_0":              {"data.transfers[0].version", events.ErrVersion},
	"trade_to_version_negative":    {"data.transfers[0].to_version", events.ErrVersion},
	"trade_quantity_0":             {"data.transfers[0].items[0].quantity", events.ErrQuantity},
	"trade_from_quantity_negative": {"data.transfers[0].items[0].from_quantity", events.ErrQuantity},
	"trade_no_items":               {"data.transfers[0].items", events.ErrEmpty},
	"trade_item_twice":             {"data.transfers[0].items[1].item_id", events.ErrRepeated},
	"trade_unknown_field":          {"data.transfers[0].gold", events.ErrUnknownField},
	"trades_null":                  {"data.transfers", events.ErrWrongType},
	"trailing_text":                {"", events.ErrSyntax},
	"trailing_document":            {"", events.ErrSyntax},
	"cut_off":                      {"", events.ErrSyntax},
	"comma_at_the_end":             {"", events.ErrSyntax},
	"comment":                      {"", events.ErrSyntax},
	"byte_order_mark":              {"", events.ErrSyntax},
	"not_utf8":                     {"", events.ErrSyntax},
	"utf8_surrogate":               {"", events.ErrSyntax},
	"empty":                        {"", events.ErrSyntax},
	"white_space":                  {"", events.ErrSyntax},
	"null":                         {"", events.ErrWrongType},
	"list":                         {"", events.ErrWrongType},
	"text":                         {"", events.ErrWrongType},
}

func TestBadMessagesAreRefusedByField(t *testing.T) {
	bad := files(t, "testdata/bad/*.json")
	for name, want := range refusals {
		body, ok := bad[name]
		if !ok {
			t.Errorf("testdata/bad/%s.json is missing", name)
			continue
		}
		t.Run(name, func(t *testing.T) { want.check(t, body) })
	}
	for name := range bad {
		if _, ok := refusals[name]; !ok {
			t.Errorf("testdata/bad/%s.json is not in the table", name)
		}
	}
}

// check decodes body and wants this refusal and no other.
func (want refusal) check(t *testing.T, body []byte) {
	t.Helper()
	_, err := events.Decode(body)
	want.is(t, err)
}

func (want refusal) is(t *testing.T, err error) {
	t.Helper()
	var field *events.FieldError
	switch {
	case !errors.As(err, &field):
		t.Errorf("%v is no FieldError, want %q: %v", err, want.field, want.err)
	case field.Field != want.field:
		t.Errorf("field %q (%v), want %q: %v", field.Field, err, want.field, want.err)
	case !errors.Is(err, want.err):
		t.Errorf("%v, want %q: %v", err, want.field, want.err)
	}
}

// Taken from a good message, each field in turn is missed.
func TestEveryFieldIsRequired(t *testing.T) {
	for name, body := range goldens(t) {
		for path, without := range withoutEachField(t, body) {
			want := refusal{path, events.ErrMissingField}
			switch {
			case path == "session_id" && !strings.HasPrefix(name, "combat") && !strings.HasPrefix(name, "scenario"):
				mustDecode(t, without)
			case strings.HasSuffix(path, "].to_version"), path == "data.transfers":
				mustDecode(t, without) // what is not always there
			case strings.HasSuffix(path, "].version") && !strings.Contains(path, "transfers"):
				mustDecode(t, without) // an item's own version is optional
			default:
				t.Run(name+"/"+path, func(t *testing.T) { want.check(t, without) })
			}
		}
	}
}

// Put into a good message, an unknown field is named wherever it is.
func TestUnknownFieldIsRefusedInEveryObject(t *testing.T) {
	for name, body := range goldens(t) {
		for path, with := range editEachObject(t, body, func(object map[string]any) { object["novel"] = 1 }) {
			want := refusal{strings.TrimPrefix(path+".novel", "."), events.ErrUnknownField}
			t.Run(name+"/"+want.field, func(t *testing.T) { want.check(t, with) })
		}
	}
}

// withoutEachField returns body without one field, by the field's path.
func withoutEachField(t *testing.T, body []byte) map[string][]byte {
	out := map[string][]byte{}
	for path, fields := range objects(t, body) {
		for _, name := range fields {
			edited := editEachObject(t, body, func(object map[string]any) { delete(object, name) })
			out[strings.TrimPrefix(path+"."+name, ".")] = edited[path]
		}
	}
	return out
}

// editEachObject returns body with one of its objects edited, by that object's path.
func editEachObject(t *testing.T, body []byte, edit func(map[string]any)) map[string][]byte {
	out := map[string][]byte{}
	for path := range objects(t, body) {
		document := parse(t, body)
		walk("", document, func(at string, object map[string]any) {
			if at == path {
				edit(object)
			}
		})
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		out[path] = text
	}
	return out
}

// objects lists the objects whose fields are the format's, and their fields.
func objects(t *testing.T, body []byte) map[string][]string {
	out := map[string][]string{}
	walk("", parse(t, body), func(path string, object map[string]any) {
		out[path] = slices.Collect(maps.Keys(object))
	})
	return out
}

func parse(t *testing.T, body []byte) (document any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&document); err != nil {
		t.Fatal(err)
	}
	return document
}

// walk visits the objects of a message, but for the game's own data.
func walk(path string, v any, visit func(path string, object map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		visit(path, v)
		for name, value := range v {
			if path+"."+name != "data.data" {
				walk(strings.TrimPrefix(path+"."+name, "."), value, visit)
			}
		}
	case []any:
		for i, value := range v {
			walk(path+"["+string(rune('0'+i))+"]", value, visit)
		}
	}
}

func TestMessageOverTheLimitIsRefused(t *testing.T) {
	body := golden(t, "vitals")
	room := events.MaxBytes - len(body)
	mustDecode(t, []byte(body+strings.Repeat(" ", room)))
	refusal{"", events.ErrTooLarge}.check(t, []byte(body+strings.Repeat(" ", room+1)))
}

// Nested deeper than any parser would follow, it is refused and nothing else.
func TestDeepNestingIsRefused(t *testing.T) {
	head, tail, _ := strings.Cut(golden(t, "scenario_paused"), `"data":{}`)
	nested := func(n int) []byte {
		return []byte(head + `"data":` + strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) + tail)
	}
	mustDecode(t, nested(32))
	refusal{"data.data", events.ErrData}.check(t, nested(33))
	if _, err := events.Decode(nested(20_000)); !errors.Is(err, events.ErrSyntax) {
		t.Errorf("20,000 levels: %v", err)
	}
}

// A newer format is told by its number, whatever else this build makes of it:
// savers give such an event back instead of burying it.
func TestNewerSchemaIsToldBeforeAnythingElse(t *testing.T) {
	newer := refusal{"schema", events.ErrSchemaNewer}
	for name, body := range goldens(t) {
		fields := strings.TrimSuffix(strings.Replace(string(body), `{"schema":1,`, "", 1), "}")
		t.Run(name, func(t *testing.T) {
			newer.check(t, []byte(`{"schema":2,`+fields+`}`))
			newer.check(t, []byte(`{`+fields+`,"schema":2}`))
			newer.check(t, []byte(`{"novel":{},`+fields+`,"schema":2}`))
		})
	}
	newer.check(t, []byte(`{"scope":7,"novel":[1],"schema":2}`))
	newer.check(t, []byte(`{"data":{},"data":{},"schema":3}`))
	newer.check(t, []byte(`{"schema":9223372036854775807}`))
}
