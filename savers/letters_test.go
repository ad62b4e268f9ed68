package savers_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// savedAll is a PostgreSQL that has every row, as new as it may be.
type savedAll struct{ savers.CleanupCold }

func (savedAll) Rows(_ context.Context, wanted map[events.CharID]events.RowVersions) (map[events.CharID]events.RowVersions, error) {
	return wanted, nil
}

// What is saved of the character or the scope that a body names says nothing about the
// letter of another: it may be the only copy.
func TestLetterOfAnotherCharacterOrScopeIsNotResolved(t *testing.T) {
	t.Parallel()
	gem := events.New(7, events.Version(time.Now().UnixMicro()), events.CauseAction, uuid.Nil, events.ScopeInventory,
		events.Inventory{Items: []events.ItemChange{{ItemID: "gem", Delta: 1, Quantity: 3}}})
	for name, c := range map[string]struct {
		scope events.Scope
		char  events.CharID
		want  bool
	}{
		"its own":           {events.ScopeInventory, 7, true},
		"nobody's":          {events.ScopeInventory, 0, true},
		"another character": {events.ScopeInventory, 42, false},
		"another scope":     {events.ScopeVitals, 7, false},
	} {
		letter := events.DeadLetter{Scope: c.scope, Char: c.char, Stored: time.Now(), Body: encode(t, &gem)}
		resolved, err := savers.Resolved(t.Context(), savedAll{}, []events.DeadLetter{letter})
		if err != nil || resolved[0] != c.want {
			t.Errorf("letter of %s: resolved %v, %v, want %t", name, resolved, err, c.want)
		}
	}
}
