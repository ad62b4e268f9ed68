package events_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// An event is saved when these rows are, so each of them has to be there.
func TestEventNamesItsRows(t *testing.T) {
	const v = 1790000000123456 // of the golden vitals
	fight := events.RowFight(uuid.MustParse("7b1c9d0e-55aa-4c1d-8e2f-90a1b2c3d4e5"))
	for name, want := range map[string][]events.Row{
		"vitals":           {{Key: "vitals", Version: v}},
		"inventory":        {{Key: "item:potion", Version: v + 2}, {Key: "item:coin", Version: v + 2}},
		"inventory_bag":    {{Key: "item:coin", Version: v + 2}, {Key: "item:potion", Version: v + 3}, {Key: "item:sword", Version: v - 1e6}},
		"combat":           {{Key: fight, Version: v + 4e6}, {Key: "progress", Version: v + 4e6}, {Key: "item:sword", Version: v + 4e6}, {Key: "item:coin", Version: v + 4e6}},
		"scenario":         {{Key: "scenario:old-road", Version: v + 6e6}},
		"combat_abandoned": {{Key: "fight:c4a8b2d6-1e3f-4a5b-8c7d-6e5f4a3b2c1d", Version: v + 5e6}, {Key: "progress", Version: v + 5e6}},
	} {
		e := mustDecode(t, []byte(golden(t, name)))
		if diff := cmp.Diff(want, e.Rows()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A dirty row is saved by a dispatch of its scope: each row that an event names
// must lead back to one.
func TestRowIsSavedByADispatchOfItsScope(t *testing.T) {
	for key, want := range map[events.RowKey]events.Scope{
		events.RowVitals:                    events.ScopeVitals,
		events.RowItem("a:b"):               events.ScopeInventory,
		events.RowFight(uuid.New()):         events.ScopeCombat,
		events.RowProgress:                  events.ScopeCombat,
		events.RowScenario("vitals:x"):      events.ScopeScenario,
		"contexts":                          "",
		"":                                  "",
		events.RowKey("vital"):              "",
		events.RowItem("scenario:old-road"): events.ScopeInventory,
	} {
		if got := key.Scope(); got != want {
			t.Errorf("%s belongs to %q, want %q", key, got, want)
		}
	}
}

func TestFightIsReadBackFromItsRow(t *testing.T) {
	session := uuid.New()
	if got, ok := events.RowFight(session).Fight(); got != session || !ok {
		t.Errorf("%s, %v, want %s", got, ok, session)
	}
	for _, key := range []events.RowKey{events.RowVitals, "fight:", "fight:42", events.RowItem(session.String()), events.RowKey(session.String())} {
		if _, ok := key.Fight(); ok {
			t.Errorf("%s is no fight", key)
		}
	}
}

func TestUnavailableWrapsItsCauseAndNoErrorIsNone(t *testing.T) {
	if err := events.Unavailable(events.Redis, nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	cause := errors.New("connection refused")
	err := events.Unavailable(events.Redis, cause)
	if !events.IsUnavailable(err, events.Redis) || !errors.Is(err, cause) {
		t.Errorf("%v does not say what and why", err)
	}
	if want := "redis is not available: connection refused"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestIsUnavailableTellsWhat(t *testing.T) {
	away := fmt.Errorf("load: %w", events.Unavailable(events.NATS, errors.New("connection refused")))
	if !events.IsUnavailable(away) || !events.IsUnavailable(away, events.Redis, events.NATS) {
		t.Errorf("%v is not told to be NATS", away)
	}
	if events.IsUnavailable(away, events.Redis) || events.IsUnavailable(errors.New("nats"), events.NATS) || events.IsUnavailable(nil) {
		t.Error("something else is told to be")
	}
}

func TestRowVersionsKeepTheHighestAndHaveWhatIsNoNewer(t *testing.T) {
	potion := events.RowItem("potion")
	var none events.RowVersions
	if none.Has(events.Row{Key: potion, Version: 1}) || !none.Has() {
		t.Error("no rows must have nothing but nothing")
	}
	rows := make(events.RowVersions)
	rows.Add(events.Row{Key: potion, Version: 7}, events.Row{Key: potion, Version: 5})
	if !rows.Has(events.Row{Key: potion, Version: 7}) {
		t.Errorf("an older row has taken the place of a newer one: %v", rows)
	}
	if rows.Has(events.Row{Key: potion, Version: 7}, events.Row{Key: potion, Version: 8}) {
		t.Error("a newer row is not there, and was found")
	}
}
