package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
)

// Nothing leaves a publisher that a saver would refuse.
func TestEncodeRefusesWhatDecodeWouldRefuse(t *testing.T) {
	const v = 1000
	session := uuid.New()
	vitals := func(edit func(*events.Vitals)) events.StateChanged {
		data := events.Vitals{HP: 1, Energy: 1, Location: events.Location{Zone: "harbor"}}
		edit(&data)
		return events.New(1, v, events.CauseAction, uuid.Nil, events.ScopeVitals, data)
	}
	items := func(items ...events.ItemChange) events.StateChanged {
		return events.New(1, v, events.CauseAction, uuid.Nil, events.ScopeInventory, events.Inventory{Items: items})
	}
	combat := func(data events.Combat, session uuid.UUID) events.StateChanged {
		return events.New(1, v, events.CauseExplicit, session, events.ScopeCombat, data)
	}
	scenario := func(data string) events.StateChanged {
		return events.New(1, v, events.CauseAction, session, events.ScopeScenario,
			events.Scenario{ScenarioID: "road", Status: "active", Data: json.RawMessage(data)})
	}
	good := vitals(func(*events.Vitals) {})
	for _, c := range []struct {
		event events.StateChanged
		want  refusal
	}{
		{edit(good, func(e *events.StateChanged) { e.CharID = 0 }), refusal{"char_id", events.ErrCharID}},
		{edit(good, func(e *events.StateChanged) { e.Version = 0 }), refusal{"version", events.ErrVersion}},
		{edit(good, func(e *events.StateChanged) { e.Cause = "" }), refusal{"cause", events.ErrCause}},
		{edit(good, func(e *events.StateChanged) { e.Data = nil }), refusal{"data", events.ErrMissingField}},
		{vitals(func(d *events.Vitals) { d.HP = -1 }), refusal{"data.hp", events.ErrQuantity}},
		{vitals(func(d *events.Vitals) { d.Location.Zone = "\xff" }), refusal{"data.location.zone", events.ErrText}},
		{vitals(func(d *events.Vitals) { d.Location.X = math.NaN() }), refusal{"data.location.x", events.ErrCoordinate}},
		{vitals(func(d *events.Vitals) { d.Location.X = math.Inf(1) }), refusal{"data.location.x", events.ErrCoordinate}},
		{vitals(func(d *events.Vitals) { d.Location.Y = math.Inf(-1) }), refusal{"data.location.y", events.ErrCoordinate}},
		{items(), refusal{"data.items", events.ErrEmpty}},
		{items(events.ItemChange{ItemID: "a"}, events.ItemChange{ItemID: "a"}), refusal{"data.items[1].item_id", events.ErrRepeated}},
		{items(events.ItemChange{ItemID: "a", Version: v + 1}), refusal{"data.items[0].version", events.ErrVersion}},
		{combat(events.Combat{Outcome: "victory"}, uuid.Nil), refusal{"session_id", events.ErrMissingField}},
		{combat(events.Combat{Outcome: "Oh no"}, session), refusal{"data.outcome", events.ErrWord}},
		{combat(events.Combat{Outcome: "victory", XP: -1}, session), refusal{"data.xp", events.ErrQuantity}},
		{scenario(""), refusal{"data.data", events.ErrData}},
		{scenario("[]"), refusal{"data.data", events.ErrData}},
		{scenario(`{"a":`), refusal{"data.data", events.ErrData}},
		{scenario(`{"a":"\u0000"}`), refusal{"data.data", events.ErrData}},
		{scenario(`{"a":"` + strings.Repeat("x", 192<<10) + `"}`), refusal{"data.data", events.ErrData}},
		{scenario(`{"a":"\xff"}`), refusal{"data.data", events.ErrData}},
		{scenario("{\"a\":\"\xff\"}"), refusal{"data.data", events.ErrData}},
		{scenario(`{} x`), refusal{"data.data", events.ErrData}},
		{items(manyItems(3000)...), refusal{"", events.ErrTooLarge}},
		{edit(good, func(e *events.StateChanged) { e.Scope = "nope" }), refusal{"scope", events.ErrScope}},
		{edit(good, func(e *events.StateChanged) { e.Scope = events.ScopeInventory }), refusal{"scope", events.ErrScope}},
		{edit(good, func(e *events.StateChanged) { e.Version = 1 << 60 }), refusal{"version", events.ErrVersionAhead}},
	} {
		t.Run(fmt.Sprint(c.event.Scope, " ", c.want.field), func(t *testing.T) {
			body, err := events.Encode(&c.event)
			c.want.is(t, err)
			if body != nil {
				t.Errorf("encoded all the same: %s", body)
			}
		})
	}
}

func edit(e events.StateChanged, change func(*events.StateChanged)) events.StateChanged {
	change(&e)
	return e
}

// Readers expect a list, also from a fight that was made without one.
func TestFightWithoutLootHasAnEmptyList(t *testing.T) {
	e := events.New(1, 1000, events.CauseExplicit, uuid.New(), events.ScopeCombat, events.Combat{Outcome: "defeat"})
	body := mustEncode(t, &e)
	if !strings.Contains(string(body), `"loot":[]`) {
		t.Errorf("no empty list of loot in %s", body)
	}
	mustDecode(t, body)
}

// Any event that may be said is understood as it was meant.
func TestAnyEventSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anyEvent().Draw(t, "event")
		body, err := events.Encode(&e)
		if err != nil {
			t.Fatalf("encode: %v", err)
		}
		again, err := events.Decode(body)
		if err != nil {
			t.Fatalf("decode %s: %v", body, err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatalf("(-said +understood)\n%s", diff)
		}
		before := rapid.SliceOf(rapid.Byte()).Draw(t, "before")
		all, err := events.Append(slices.Clone(before), &e)
		if err != nil || !bytes.Equal(all, append(before, body...)) {
			t.Fatalf("appended to %q: %q, %v", before, all, err)
		}
	})
}

func anyEvent() *rapid.Generator[events.StateChanged] {
	return rapid.Custom(func(t *rapid.T) events.StateChanged {
		v := events.Version(rapid.Int64Range(1, 4e15).Draw(t, "version"))
		data := rapid.OneOf(anyVitals(), anyInventory(v), anyCombat(v), anyScenario()).Draw(t, "data")
		cause := rapid.SampledFrom(allCauses).Draw(t, "cause")
		char := events.CharID(rapid.Int64Min(1).Draw(t, "char"))
		return events.New(char, v, cause, anySession().Draw(t, "session"), scopeOf(data), data)
	})
}

var allCauses = []events.Cause{
	events.CauseAction, events.CauseExplicit, events.CausePreempted, events.CauseCleanup,
	events.CauseDispatch, events.CauseRestore, events.CauseTransfer,
}

func scopeOf(d events.Data) events.Scope {
	switch d.(type) {
	case events.Vitals:
		return events.ScopeVitals
	case events.Inventory:
		return events.ScopeInventory
	case events.Combat:
		return events.ScopeCombat
	}
	return events.ScopeScenario
}

func anySession() *rapid.Generator[uuid.UUID] {
	return rapid.Custom(func(t *rapid.T) (id uuid.UUID) {
		copy(id[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		id[0] |= 1 // a session, where one is required, is not the nil UUID
		return id
	})
}

func anyName() *rapid.Generator[string] {
	return rapid.StringN(1, 32, 128).Filter(func(s string) bool { return events.CheckText(s) == nil })
}

func anyWord() *rapid.Generator[string] { return rapid.StringMatching(`[a-z0-9_-]{1,32}`) }

func anyVitals() *rapid.Generator[events.Data] {
	return rapid.Custom(func(t *rapid.T) events.Data {
		return events.Vitals{
			HP: rapid.Int32Min(0).Draw(t, "hp"), Energy: rapid.Int32Min(0).Draw(t, "energy"),
			Location: events.Location{Zone: anyName().Draw(t, "zone"), X: anyCoordinate().Draw(t, "x"), Y: anyCoordinate().Draw(t, "y")},
		}
	})
}

func anyCoordinate() *rapid.Generator[float64] {
	return rapid.Float64Range(-math.MaxFloat64, math.MaxFloat64)
}

func anyInventory(v events.Version) *rapid.Generator[events.Data] {
	return rapid.Custom(func(t *rapid.T) events.Data {
		return events.Inventory{Items: anyItems(v, 1).Draw(t, "items")}
	})
}

func anyItems(v events.Version, atLeast int) *rapid.Generator[[]events.ItemChange] {
	item := rapid.Custom(func(t *rapid.T) events.ItemChange {
		return events.ItemChange{
			ItemID: anyName().Draw(t, "item"), Delta: rapid.Int64().Draw(t, "delta"), Quantity: rapid.Int64Min(0).Draw(t, "quantity"),
			Version: events.Version(rapid.Int64Range(0, int64(v)).Draw(t, "item version")),
		}
	})
	return rapid.SliceOfNDistinct(item, atLeast, 5, func(c events.ItemChange) string { return c.ItemID })
}

func anyCombat(v events.Version) *rapid.Generator[events.Data] {
	return rapid.Custom(func(t *rapid.T) events.Data {
		data := events.Combat{
			Outcome: anyWord().Draw(t, "outcome"), StartedAt: anyTime().Draw(t, "started"), FinishedAt: anyTime().Draw(t, "finished"),
			Rounds: rapid.Int32Min(0).Draw(t, "rounds"), XPGained: rapid.Int64Min(0).Draw(t, "gained"), XP: rapid.Int64Min(0).Draw(t, "xp"),
		}
		if loot := anyItems(v, 0).Draw(t, "loot"); len(loot) > 0 {
			data.Loot = loot
		}
		return data
	})
}

func anyTime() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(0, 9e15), func(µs int64) time.Time { return time.UnixMicro(µs).UTC() })
}

func anyScenario() *rapid.Generator[events.Data] {
	return rapid.Custom(func(t *rapid.T) events.Data {
		free, err := json.Marshal(map[string]any{
			anyName().Draw(t, "key"): anyName().Draw(t, "value"),
			"n":                      rapid.Float64().Draw(t, "n"),
		})
		if err != nil {
			t.Fatal(err)
		}
		return events.Scenario{
			ScenarioID: anyName().Draw(t, "scenario"), Step: rapid.Int32Min(0).Draw(t, "step"),
			Status: anyWord().Draw(t, "status"), Data: free,
		}
	})
}

func manyItems(n int) []events.ItemChange {
	items := make([]events.ItemChange, n)
	for i := range items {
		items[i].ItemID = fmt.Sprintf("%0128d", i)
	}
	return items
}

// The largest free-form data that Encode writes is one that Decode reads.
func TestEncodeWritesFreeFormDataUpToItsLimit(t *testing.T) {
	e := mustDecode(t, []byte(golden(t, "scenario_paused")))
	free := e.Data.(events.Scenario)
	fill := func(n int) error {
		free.Data = json.RawMessage(`{"a":"` + strings.Repeat("x", n) + `"}`)
		e.Data = free
		body, err := events.Encode(&e)
		if err == nil {
			mustDecode(t, body)
		}
		return err
	}
	const limit = 192 << 10
	room := limit - len(`{"a":""}`)
	if err := fill(room); err != nil {
		t.Errorf("exactly %d bytes: %v", limit, err)
	}
	if err := fill(room + 1); !errors.Is(err, events.ErrData) {
		t.Errorf("one byte more: %v", err)
	}
}

// The time of an event has all six digits of its version.
func TestOccurredAtHasMicroseconds(t *testing.T) {
	t.Parallel()
	for version, want := range map[events.Version]string{
		1790000000123456: "2026-09-21T14:13:20.123456Z",
		1790000000123400: "2026-09-21T14:13:20.123400Z",
		1790000000000000: "2026-09-21T14:13:20.000000Z",
	} {
		e := events.New(42, version, events.CauseAction, uuid.Nil, events.ScopeVitals, events.Vitals{Location: events.Location{Zone: "z"}})
		body, err := events.Encode(&e)
		if err != nil || !strings.Contains(string(body), `"occurred_at":"`+want+`"`) {
			t.Errorf("%s (%v), want %s", body, err, want)
		}
	}
}
