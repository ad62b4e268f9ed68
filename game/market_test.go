package game_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// A market is some characters who trade, and what savers have made of it: of what
// was published, in any order.
type market struct {
	t         *rapid.T
	now       events.Version
	chars     map[events.CharID]*game.State
	escrow    []events.Transfer
	published []events.StateChanged
	rows      map[events.CharID]map[string]game.Item
	trades    map[uuid.UUID]events.Transfer
}

const (
	marketChars = 5
	supply      = 100 // of each item, each character
)

func newMarket(t *rapid.T, items ...string) *market {
	m := &market{
		t: t, chars: map[events.CharID]*game.State{},
		rows: map[events.CharID]map[string]game.Item{}, trades: map[uuid.UUID]events.Transfer{},
	}
	for char := events.CharID(1); char <= marketChars; char++ {
		m.chars[char], m.rows[char] = &game.State{Char: char, Items: map[string]game.Item{}}, map[string]game.Item{}
		for _, item := range items {
			m.chars[char].Items[item], m.rows[char][item] = game.Item{Quantity: supply}, game.Item{Quantity: supply}
		}
	}
	return m
}

// give begins a trade; what it moves is in escrow then.
func (m *market) give(from, to events.CharID, items ...string) {
	trade := game.Trade{ID: uuid.UUID{byte(m.now >> 8), byte(m.now), 1}, From: from, To: to}
	for _, item := range items {
		trade.Items = append(trade.Items, game.ItemDelta{ItemID: item, Delta: 1})
	}
	if game.MayTrade(m.chars[from], m.chars[to], trade) != nil {
		return
	}
	change, t, err := game.Give(m.chars[from], m.next(), trade)
	if m.commit(change, err) {
		m.escrow = append(m.escrow, t)
	}
}

// receive goes on with a trade in escrow, and publishes both sides.
func (m *market) receive(n int) {
	t := m.escrow[n]
	change, t, err := game.Receive(m.chars[t.To], m.next(), t, unsaved(m.chars[t.From]))
	if !m.commit(change, err) {
		return
	}
	m.escrow = append(m.escrow[:n:n], m.escrow[n+1:]...)
	carried := change.Events[0].Transfers()
	m.published = append(m.published, game.TransferEvent(t, t.From, carried), game.TransferEvent(t, t.To, carried))
}

// touch says items of a character again, as an action does that leaves them as they are.
func (m *market) touch(char events.CharID, items ...string) {
	var deltas []game.ItemDelta
	for _, item := range items {
		deltas = append(deltas, game.ItemDelta{ItemID: item})
	}
	change, err := game.ChangeItems(m.chars[char], m.next(), deltas)
	if m.commit(change, err) {
		m.published = append(m.published, change.Events...)
	}
}

func (m *market) next() events.Version {
	m.now++
	return m.now
}

// commit applies a change, unless there was no room for it.
func (m *market) commit(c *game.Change, err error) bool {
	var short *game.InsufficientError
	if errors.Is(err, game.ErrUnsaved) || errors.As(err, &short) {
		return false
	}
	if err != nil {
		m.t.Fatal(err)
	}
	m.chars[c.Char].Apply(c)
	return true
}

// save stores what one event says, and forgets the trades that it has saved.
func (m *market) save(e *events.StateChanged) {
	if _, err := events.Encode(e); err != nil {
		m.t.Fatal(err)
	}
	m.store(game.FromEvent(e))
	for _, t := range e.Transfers() {
		if known := m.trades[t.ID]; known.ID == uuid.Nil || known.Before(&t) {
			m.trades[t.ID] = t
		}
		for _, char := range []events.CharID{t.From, t.To} {
			side := game.TransferEvent(t, char, nil)
			if char == t.From || t.Completed() {
				m.store(game.FromEvent(&side))
			}
		}
	}
	for _, row := range e.Rows() {
		if id, ok := row.Key.Transfer(); ok {
			known := m.chars[e.CharID].Transfers[id]
			if known.Row().Version <= row.Version {
				delete(m.chars[e.CharID].Transfers, id)
			}
		}
	}
}

func (m *market) store(s *game.State) {
	for id, item := range s.Items {
		if m.rows[s.Char][id].Version < item.Version {
			m.rows[s.Char][id] = item
		}
	}
}

// wantSum wants as many of each item as there are, in bags and in escrow.
func (m *market) wantSum(items ...string) {
	for _, item := range items {
		sum := int64(0)
		for _, bag := range m.rows {
			sum += bag[item].Quantity
		}
		for _, t := range m.trades {
			for _, moved := range t.Items {
				if moved.ItemID == item && !t.Completed() {
					sum += moved.Quantity
				}
			}
		}
		if sum != marketChars*supply {
			m.t.Fatalf("%d of %.8q are saved, want %d", sum, item, marketChars*supply)
		}
	}
}

func unsaved(s *game.State) (list []events.Transfer) {
	for _, t := range s.Transfers {
		list = append(list, t)
	}
	return list
}

// What is saved of a market, event by event and in any order, always has each item
// once. Events of others, and of nobody any more, are among them; trades move a few
// items or very many, of long names or short ones, so that one event cannot hold all.
func TestNoItemIsSavedTwiceOrNowhere(t *testing.T) {
	names := map[string][]string{"few items": nil, "many items of long names": nil}
	for i := range 4 {
		names["few items"] = append(names["few items"], fmt.Sprint("item-", i))
	}
	for i := range 200 {
		names["many items of long names"] = append(names["many items of long names"], fmt.Sprintf("%03d", i)+strings.Repeat(`"`, 125))
	}
	for name, items := range names {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := newMarket(t, items...)
				char := rapid.IntRange(1, marketChars)
				some := func() []string {
					from := rapid.IntRange(0, len(items)-1).Draw(t, "first item")
					return items[from:rapid.IntRange(from+1, len(items)).Draw(t, "end of the items")]
				}
				for range rapid.IntRange(1, 40).Draw(t, "steps") {
					one := events.CharID(char.Draw(t, "character"))
					switch rapid.IntRange(0, 4).Draw(t, "step") {
					case 0, 1:
						m.give(one, 1+one%marketChars, some()...)
					case 2:
						if len(m.escrow) > 0 {
							m.receive(rapid.IntRange(0, len(m.escrow)-1).Draw(t, "in escrow"))
						}
					case 3:
						m.touch(one, some()...)
					case 4:
						if len(m.published) > 0 {
							m.save(&m.published[rapid.IntRange(0, len(m.published)-1).Draw(t, "published")])
							m.wantSum(items...)
						}
					}
				}
			})
		})
	}
}

// One event can hold what one request may move and change on top of MaxUnsaved
// items of trades, of the longest names and with the largest numbers there are.
func TestTradesThatWaitFitIntoAnEvent(t *testing.T) {
	const largest = 1<<63 - 1
	s := &game.State{Char: largest, Version: 1 << 50, Items: map[string]game.Item{}, Transfers: map[uuid.UUID]events.Transfer{}}
	var deltas []game.ItemDelta
	for i := range game.MaxUnsaved {
		name := fmt.Sprintf("%03d", i) + strings.Repeat(`\`, 125)
		s.Items[name] = game.Item{Quantity: largest - 1, Version: 1 << 50}
		if len(deltas) < 200 {
			deltas = append(deltas, game.ItemDelta{ItemID: name, Delta: 1})
		}
		trade := events.Transfer{ID: uuid.UUID{byte(i), 1}, From: largest - 1, To: largest, Version: 1 << 50, ToVersion: 1 << 50, Items: []events.Moved{{
			ItemID: name, Quantity: largest, FromQuantity: largest, ToQuantity: largest,
		}}}
		e := game.TransferEvent(trade, trade.To, nil)
		alone, err := events.Encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		e = game.TransferEvent(trade, trade.To, []events.Transfer{trade})
		if body, err := events.Encode(&e); err != nil || len(body)-len(alone) > len(`,"transfers":[]`)+trade.MaxSize() {
			t.Fatalf("the trade takes %d bytes of an event, and said at most %d: %v", len(body)-len(alone), trade.MaxSize(), err)
		}
		s.Transfers[trade.ID] = trade
	}

	change, err := game.ChangeItems(s, 1<<51, deltas)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := events.Encode(&change.Events[0]); err != nil || len(change.Events[0].Transfers()) != len(deltas) {
		t.Errorf("an event of %d bytes with %d trades: %v", len(body), len(change.Events[0].Transfers()), err)
	}
}
