package gateway_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// An item is said again with the unsaved trades that it rests on: saved without
// them, the receiver's side would be visible before the sender's.
func TestRestatedItemCarriesItsTrade(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "POST", "1/inventory", fiveGems)
	id := uuid.New()
	s.wantTransfer(200, tradeBody(id, 1, 2, "gem", 2))
	before := s.look(2, "hot").Version
	if err := s.service().Restate(t.Context(), 2, events.RowItem("gem")); err != nil {
		t.Fatal(err)
	}
	all := s.published()
	last := all[len(all)-1]
	if last.CharID != 2 || last.Version <= before {
		t.Fatalf("the last event is %+v, want one above version %d", last, before)
	}
	if carried := last.Transfers(); len(carried) != 1 || carried[0].ID != id || !carried[0].Completed() {
		t.Errorf("carried: %+v, want the trade %s", carried, id)
	}
}

// PostgreSQL has other values at the same versions, which no save of these
// versions can correct. Restated, the rows are saved as Redis has them, and
// nothing else of the character moves.
func TestRestatedRowsReplaceOthersOfTheSameVersion(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.want(200, "PUT", "1/vitals", harbor)
	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":5},{"item_id":"rope","delta":1}]}`)
	road := s.want(201, "POST", "1/contexts/scenario", `{"scenario_id":"old-road"}`)
	s.want(200, "PATCH", "1/contexts/scenario", sessionBody(road.SessionID, `,"step":3`))
	s.wantEqual()
	s.sql("UPDATE character_vitals SET hp = 1; UPDATE items SET quantity = 7 WHERE item_id = 'gem'; UPDATE scenario_progress SET step = 9")
	before := s.look(1, "hot")

	err := s.service().Restate(t.Context(), 1, events.RowVitals, events.RowItem("gem"), events.RowScenario("old-road"), events.RowItem("unknown"))
	if err != nil {
		t.Fatal(err)
	}

	s.wantEqual()
	saved := s.look(1, "cold")
	if saved.Vitals.HP != 80 || saved.Items[0].Quantity.Quantity != 5 || len(saved.Items) != 2 || saved.Scenarios[0].Step != 3 {
		t.Errorf("saved: %+v %+v %+v", saved.Vitals, saved.Items, saved.Scenarios)
	}
	after := s.look(1, "hot")
	if after.Items[1] != before.Items[1] {
		t.Errorf("the rope is %+v, and was %+v", after.Items[1], before.Items[1])
	}
	if diff := cmp.Diff(before.Contexts, after.Contexts); diff != "" {
		t.Errorf("the contexts moved:\n%s", diff)
	}
}

// Experience is told by fights alone: it is refused by name, and what can be
// said again beside it is.
func TestRowThatNoEventCanSayIsNotRestated(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.want(200, "PUT", "1/vitals", harbor)
	service := s.service()
	if err := service.Restate(t.Context(), 1, events.RowProgress); !errors.Is(err, game.ErrNotRestated) {
		t.Errorf("got %v, want ErrNotRestated", err)
	}
	if n := len(s.published()); n != 1 {
		t.Errorf("%d events, want that of the action alone", n)
	}
	if err := service.Restate(t.Context(), 1, events.RowProgress, events.RowVitals); !errors.Is(err, game.ErrNotRestated) {
		t.Errorf("got %v, want ErrNotRestated", err)
	}
	if n := len(s.published()); n != 2 {
		t.Errorf("%d events, want the vitals said again", n)
	}
}
