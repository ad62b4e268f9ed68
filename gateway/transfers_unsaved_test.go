package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// While NATS is away, trades go on as long as one event can carry all that is
// not saved. The next one is refused, takes nothing, and may be asked for again.
func TestTradesWaitWhereAnEventCouldNotCarryThem(t *testing.T) {
	s := newSystem(t)
	s.save()
	s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":1000}]}`)
	s.stream.cut.Store(true)
	var refused string
	done := int64(0)
	for ; refused == "" && done < 2*game.MaxUnsaved; done++ {
		body := tradeBody(uuid.New(), 1, 2, "gem", 1)
		r, err := s.transfer(0, body)
		switch {
		case err != nil:
			t.Fatal(err)
		case r.Status == http.StatusServiceUnavailable:
			refused = body
			if !strings.Contains(r.Body, game.ErrUnsaved.Error()) {
				t.Fatalf("refused for another reason: %s", r.Body)
			}
		case r.Status != http.StatusOK:
			t.Fatalf("trade %d: %d %s", done, r.Status, r.Body)
		}
	}
	done-- // the refused one
	if refused == "" || done < game.MaxUnsaved {
		t.Fatalf("refused %q after %d trades, want a refusal after %d", refused, done, game.MaxUnsaved)
	}
	if has, got := s.quantity(1, "hot", "gem"), s.quantity(2, "hot", "gem"); has != 1000-done || got != done {
		t.Fatalf("the refused trade took something: %d and %d after %d trades", has, got, done)
	}

	s.stream.cut.Store(false)
	watched := s.watchSum("gem", 1000)
	s.sweep(time.Minute)
	s.wantEqual()
	watched()
	s.wantTransfer(200, refused)
	s.wantEqual()
}

// A save of the receiver completes a trade in PostgreSQL; the sender's next save
// finds it so, and says so: no mark of it is left to a later sweep.
func TestSenderIsCleanAfterTheReceiversSaveCompletedItsTrade(t *testing.T) {
	s := newSystem(t)
	s.save()
	s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":10}]}`)
	s.stream.cut.Store(true)
	s.wantTransfer(200, tradeBody(uuid.New(), 1, 2, "gem", 3))
	s.stream.cut.Store(false)

	service := s.service()
	for _, char := range []events.CharID{2, 1} {
		if _, err := service.Dispatch(t.Context(), events.ScopeInventory, char); err != nil {
			t.Fatal(err)
		}
		s.settled(events.ScopeInventory)
	}
	s.wantEqual()
}

// An event that carries a trade saves both of its sides. Where no event of one side
// follows, the repeat of the trade finds it saved, and nothing is left to a sweep.
func TestRepeatOfASavedTradeLeavesNoMark(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":10}]}`)
	s.stream.cut.Store(true)
	body := tradeBody(uuid.New(), 1, 2, "gem", 3)
	s.wantTransfer(200, body)
	s.stream.cut.Store(false)
	if _, err := s.service().Dispatch(t.Context(), events.ScopeInventory, 2); err != nil {
		t.Fatal(err)
	}
	s.settled(events.ScopeInventory)

	if again := s.wantTransfer(200, body); again.Durability != "cold" {
		t.Errorf("the repeat says %+v, want cold: the receiver's save has it", again)
	}

	s.wantEqual()
	s.wantGems("repeated", "cold", 7, 3)
}

// A trade of very many items rests on very many others. Whatever is left out of its
// event, PostgreSQL would show an old trade's items on both sides.
func TestLargeTradeCarriesAllThatItRestsOn(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.save()
	list := func(from, to int, format string) string {
		var all []string
		for i := from; i < to; i++ {
			all = append(all, fmt.Sprintf(format, fmt.Sprint("a", i)))
		}
		return strings.Join(all, ",")
	}
	const change, move = `{"item_id":%q,"delta":1}`, `{"item_id":%q,"quantity":1}`
	trade := func(from, to int, items string) string {
		return fmt.Sprintf(`{"transfer_id":%q,"from":%d,"to":%d,"items":[%s]}`, uuid.New(), from, to, items)
	}
	s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":1}]}`)
	s.want(200, "POST", "4/inventory?durability=cold", `{"changes":[`+list(0, 200, change)+`]}`)
	s.want(200, "POST", "4/inventory?durability=cold", `{"changes":[`+list(200, 255, change)+`]}`)
	s.stream.cut.Store(true)
	s.wantTransfer(200, trade(1, 2, `{"item_id":"gem","quantity":1}`))
	s.wantTransfer(200, trade(4, 2, list(0, 200, move)))
	s.wantTransfer(200, trade(4, 2, list(200, 255, move)))
	s.stream.cut.Store(false)
	watched := s.watchSum("gem", 1)

	sold := s.wantTransfer(200, trade(2, 3, `{"item_id":"gem","quantity":1},`+list(0, 199, move)))

	s.settled(events.ScopeInventory)
	watched()
	if sold.Durability != "stream" {
		t.Errorf("sold: %+v, want stream", sold.Durability)
	}
	s.flush()
	if has, had, first := s.quantity(3, "hot", "gem"), s.quantity(2, "hot", "gem"), s.quantity(1, "hot", "gem"); has != 1 || had+first != 0 {
		t.Errorf("after a loss of Redis the gem is %d times with who bought it last, %d and %d with those before", has, had, first)
	}
}
