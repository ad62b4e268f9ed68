package gateway_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// backup keeps what PostgreSQL has of items and trades; restore puts it back.
func (s *system) backup() (restore func()) {
	s.t.Helper()
	s.sql("CREATE TABLE old_items AS SELECT * FROM items; CREATE TABLE old_transfers AS SELECT * FROM transfers")
	return func() {
		s.t.Helper()
		s.sql("DELETE FROM items; INSERT INTO items SELECT * FROM old_items; DELETE FROM transfers; INSERT INTO transfers SELECT * FROM old_transfers")
	}
}

// evict is what becomes of a character that nobody has seen for a day. From then on
// all gateways are others, to whom all that was published is long settled.
func (s *system) evict(char int, keys ...string) {
	s.t.Helper()
	s.drop(keys...)
	s.forgetAnswers(char)
	for _, scope := range events.Scopes() {
		s.settled(scope)
	}
	later, err := bus.Connect(s.bus.Conn().ConnectedUrl(), s.t.Name(), quiet)
	s.must(err)
	s.t.Cleanup(func() { later.Close(s.t.Context()) })
	s.stream.Stream = later
}

// PostgreSQL was replaced by an older copy, and no replay has come to a character that
// Redis does not have any more. What it did since is in the stream, and it does not
// play on without that: the replay would lose to its newer versions.
func TestCharacterIsJoinedWithWhatPostgresHasLost(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]string{"older": "", "empty": "DELETE FROM items; DELETE FROM character_vitals"} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.save()
			s.want(200, "PUT", "1/vitals", harbor)
			s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":5},{"item_id":"rope","delta":1}]}`)
			restore := s.backup()
			s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":-4}]}`)
			s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"rope","delta":1}]}`)
			s.wantEqual()
			s.evict(1, "ac:1", "{ac:1}:items", "{ac:1}:vitals")
			restore()
			s.sql(lose)

			s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"rope","delta":1}]}`)

			s.wantGems("played on", "hot", 1)
			s.sweep(time.Minute)
			for _, scope := range events.Scopes() {
				s.settled(scope)
			}
			s.sweep(10 * time.Minute) // a mark may be left of what was saved before
			s.wantEqual()
			s.wantGems("saved", "cold", 1)
			if vitals := s.look(1, "cold").Vitals; vitals == nil || vitals.HP != 80 {
				t.Errorf("saved vitals: %+v", vitals)
			}
		})
	}
}

// A dead letter looks like what PostgreSQL has lost: it is settled, and not there. It
// is no state of the character all the same.
func TestDeadLetterIsNotJoined(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.sql("ALTER TABLE items ADD CHECK (quantity <> 666)")
	s.save()
	s.want(200, "POST", "1/inventory?durability=cold", fiveGems)
	s.wantEqual()
	s.must(s.bus.Publish(t.Context(), events.New(1, events.Version(time.Now().UnixMicro()), events.CauseAction, uuid.Nil, events.ScopeInventory,
		events.Inventory{Items: []events.ItemChange{{ItemID: "gem", Delta: 661, Quantity: 666}}})))
	stacktest.Eventually(t, "buried", func() bool { return len(s.letters()) == 1 })
	s.evict(1, "ac:1", "{ac:1}:items")

	s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":1}]}`)

	s.wantGems("joined", "hot", 6)
}

// An older PostgreSQL shows in escrow what was completed since. Nobody plays, and
// the sweeper does not hand the items over a second time: also where the sender's
// newest event is one that PostgreSQL has.
func TestTradeThatAnOlderPostgresShowsInEscrowIsNotCompletedAgain(t *testing.T) {
	t.Parallel()
	for name, seen := range map[string]bool{"a sender that was not seen since": false, "a sender that was saved since": true} {
		t.Run(name, func(t *testing.T) {
			s := newSystem(t)
			s.save()
			s.want(200, "POST", "1/inventory", fiveGems)
			s.wantEqual()
			id := uuid.New()
			s.giveOnly(id, 1, 2, "gem", 2)
			s.want(200, "POST", "1/inventory?durability=cold", `{"changes":[{"item_id":"gem","delta":1}]}`)
			restore := s.backup()
			s.wantTransfer(200, tradeBody(id, 1, 2, "gem", 2))
			s.wantEqual()
			if seen {
				s.want(200, "PUT", "1/vitals?durability=cold", harbor)
			}
			s.forgetAnswers(2)
			s.evict(1, "ac:1", "{ac:1}:items", "{ac:1}:vitals", "{ac:1}:transfers")
			restore()

			s.sweep(time.Minute)
			s.sweep(2 * time.Minute)

			s.wantGems("swept", "hot", 4, 2)
			s.settled(events.ScopeInventory)
			s.sweep(10 * time.Minute) // who was looked at before the save has a mark of what is saved by now
			s.wantEqual()
			s.wantGems("swept", "cold", 4, 2)
		})
	}
}
