package verify

import (
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// The verdict about a row says which copy is right, by versions first, and by what the
// stream holds where versions are equal.
func TestVerdictNamesTheCopyThatIsRight(t *testing.T) {
	t.Parallel()
	const none = ""
	at := func(version events.Version, text string) Copy { return Copy{text, version} }
	settled, pending := Event{Sequence: 1, Settled: true}, Event{Sequence: 1}
	for name, c := range map[string]struct {
		row
		differs bool
		want    Verdict
	}{
		"cold is behind, its event waits":        {row{asked: true, hot: at(2, "b"), stream: at(2, "b"), cold: at(1, "a"), event: pending}, true, Pending},
		"cold is behind, its event is settled":   {row{asked: true, hot: at(2, "b"), stream: at(2, "b"), cold: at(1, "a"), event: settled}, true, Unstored},
		"cold is behind, and there is no event":  {row{asked: true, hot: at(2, "b"), stream: at(1, "a"), cold: at(1, "a")}, true, Unpublished},
		"cold has nothing":                       {row{asked: true, hot: at(2, "b")}, true, Unpublished},
		"cold is behind, nobody was asked":       {row{hot: at(2, "b"), cold: at(1, "a")}, true, Unknown},
		"hot is behind cold":                     {row{asked: true, hot: at(1, "a"), cold: at(2, "b")}, true, HotBehind},
		"hot is behind the stream and cold":      {row{asked: true, hot: at(1, "a"), stream: at(2, "b"), cold: at(2, "b"), event: settled}, true, HotBehind},
		"hot and cold are behind, it waits":      {row{asked: true, hot: at(1, "a"), stream: at(2, "b"), cold: at(1, "a"), event: pending}, true, Pending},
		"two values, the stream says hot":        {row{asked: true, hot: at(1, "a"), stream: at(1, "a"), cold: at(1, "x")}, true, ColdWrong},
		"two values, the stream says cold":       {row{asked: true, hot: at(1, "x"), stream: at(1, "a"), cold: at(1, "a")}, true, HotWrong},
		"two values, the stream says a third":    {row{asked: true, hot: at(1, "x"), stream: at(1, "a"), cold: at(1, "y")}, true, Undecided},
		"two values, the stream has an older":    {row{asked: true, hot: at(2, "x"), stream: at(1, "a"), cold: at(2, "y")}, true, Undecided},
		"two values, nobody was asked":           {row{hot: at(1, "x"), cold: at(1, "y")}, true, Unknown},
		"all are equal":                          {row{asked: true, hot: at(1, "a"), stream: at(1, "a"), cold: at(1, "a")}, false, none},
		"the stream has forgotten what is saved": {row{asked: true, hot: at(1, "a"), cold: at(1, "a")}, false, none},
	} {
		c.known, c.key = true, events.RowItem("gem")
		if got := c.row.differs(); got != c.differs {
			t.Errorf("%s: differs: %t", name, got)
		}
		if got := c.verdict(); c.differs && got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A fight is in Redis while it is not saved, and no longer.
func TestVerdictAboutAFight(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hot, cold events.Version
		differs   bool
		want      Verdict
	}{
		"not saved":                   {1, 0, true, Unpublished},
		"saved, and Redis has it yet": {1, 1, true, Leftover},
		"saved":                       {0, 1, false, ""},
	} {
		r := row{key: events.RowFight(uuid.New()), known: true, asked: true, hot: Copy{"", c.hot}, cold: Copy{"", c.cold}}
		if got := r.differs(); got != c.differs {
			t.Errorf("%s: differs: %t", name, got)
		}
		if got := r.verdict(); c.differs && got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// A trade in escrow is no row that its sender's event sets, and is in it all the same:
// where PostgreSQL lacks it, savers have come to it or not.
func TestVerdictAboutATradeInEscrow(t *testing.T) {
	t.Parallel()
	trade := events.Transfer{ID: uuid.New(), From: 1, To: 2, Version: 5, Items: []events.Moved{{ItemID: "gem", Quantity: 1, FromQuantity: 2}}}
	event := func(sequence uint64, trade events.Transfer, settled bool) events.Stored {
		e := events.New(1, 5, events.CauseTransfer, uuid.Nil, events.ScopeInventory,
			events.Inventory{Items: []events.ItemChange{{ItemID: "gem", Delta: -1, Quantity: 2}}, Transfers: []events.Transfer{trade}})
		return events.Stored{StateChanged: e, Sequence: sequence, Settled: settled}
	}
	completed := trade
	completed.ToVersion = 7
	for name, c := range map[string]struct {
		history  []events.Stored
		sequence uint64
		want     Verdict
	}{
		"its event waits":            {[]events.Stored{event(1, trade, false)}, 1, Pending},
		"its event is settled":       {[]events.Stored{event(1, trade, true)}, 1, Unstored},
		"published twice, one waits": {[]events.Stored{event(1, trade, true), event(2, trade, false)}, 2, Pending},
		"completed, and said older":  {[]events.Stored{event(1, completed, true), event(2, trade, false)}, 1, Unstored},
		"completed, and that waits":  {[]events.Stored{event(1, trade, true), event(2, completed, false)}, 2, Pending},
	} {
		all := copies{char: 1, hot: &game.Loaded{}, stream: &game.State{Char: 1}, newest: make(map[events.RowKey]events.Stored)}
		for _, e := range c.history {
			all.addEvent(e)
		}
		var got Difference
		for _, d := range all.differences() {
			if d.Row == events.RowTransfer(trade.ID) {
				got = d
			}
		}
		if got.Verdict != c.want || got.Event.Sequence != c.sequence {
			t.Errorf("%s: %q by event %d, want %q by %d", name, got.Verdict, got.Event.Sequence, c.want, c.sequence)
		}
	}
}
