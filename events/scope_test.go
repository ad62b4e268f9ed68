package events_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

func TestScopesWithStateAreTheFour(t *testing.T) {
	want := []events.Scope{"combat", "inventory", "scenario", "vitals"}
	if diff := cmp.Diff(want, events.Scopes()); diff != "" {
		t.Error(diff)
	}
	if events.ScopeCleanup.HasState() {
		t.Error("the sweeper's ticks are no state")
	}
}

// rumour is a scope of somebody else's game.
type rumour struct {
	Text string `json:"text"`
}

func (r rumour) Validate(*events.StateChanged) error { return events.CheckText(r.Text) }
func (r rumour) Rows(e *events.StateChanged) []events.Row {
	return []events.Row{{Key: "rumour", Version: e.Version}}
}

func TestDefinedScopeGoesTheSameWay(t *testing.T) {
	events.Define("rumour", func([]byte) (events.Data, error) { return rumour{"they say"}, nil })
	t.Cleanup(func() { events.Undefine("rumour") })
	if !slices.Contains(events.Scopes(), "rumour") {
		t.Fatalf("rumour is not among %v", events.Scopes())
	}
	said := events.New(1, 1000, events.CauseAction, uuid.Nil, "rumour", rumour{"they say"})
	if diff := cmp.Diff(said, mustDecode(t, mustEncode(t, &said))); diff != "" {
		t.Errorf("(-said +understood)\n%s", diff)
	}
	said.Data = rumour{}
	_, err := events.Encode(&said)
	refusal{"data", events.ErrText}.is(t, err)
}

// fragile is data that panics where it is looked at.
type fragile struct{ rumour }

func (fragile) Validate(*events.StateChanged) error { panic("what now?") }

// Whoever reads the event would end at it, each time anew.
func TestPanicOverAGamesOwnDataIsAnErrorOfTheEvent(t *testing.T) {
	var missing *rumour
	for scope, decode := range map[events.Scope]events.DataDecoder{
		"decoder": func([]byte) (events.Data, error) { return rumour{missing.Text}, nil },
		"data":    func([]byte) (events.Data, error) { return fragile{}, nil },
	} {
		events.Define(scope, decode)
		t.Cleanup(func() { events.Undefine(scope) })
		said := events.New(1, 1000, events.CauseAction, uuid.Nil, scope, rumour{"they say"})
		body := mustEncode(t, &said)
		// Also where the data come before their scope.
		name := []byte(`"scope":"` + string(scope) + `",`)
		late := append(bytes.TrimSuffix(bytes.Replace(body, name, nil, 1), []byte("}")), append([]byte(","), bytes.TrimSuffix(name, []byte(","))...)...)
		for _, body := range [][]byte{body, append(late, '}')} {
			got, err := events.Decode(body)

			refusal{"data", events.ErrPanicked}.is(t, err)
			if got.CharID != 1 {
				t.Errorf("character %d, want 1: %s", got.CharID, body)
			}
		}
	}
}

func TestScopeDefinedWronglyPanics(t *testing.T) {
	for _, scope := range []events.Scope{
		events.ScopeVitals, events.ScopeCleanup, "", "two words", "Upper", "a.b", "*", ">",
		"a-name-of-more-than-thirty-two-bytes",
	} {
		t.Run(string(scope), func(t *testing.T) {
			defer func() {
				if recover() == nil {
					events.Undefine(scope)
					t.Errorf("scope %q was defined", scope)
				}
			}()
			events.Define(scope, func([]byte) (events.Data, error) { return rumour{}, nil })
		})
	}
}
