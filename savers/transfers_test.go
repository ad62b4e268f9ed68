package savers_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/savers"
)

// A market is a random history of trades, and of other changes of the same
// items, as gateways make it: an event carries the trades that it rests on.
type market struct {
	*historian
	bags   map[events.CharID]map[string]int64
	trades []events.Transfer
	// found counts what other changes gave, by item.
	found map[string]int64
}

func newMarket(r *rand.Rand) *market {
	m := &market{historian: newHistorian(r), bags: map[events.CharID]map[string]int64{}, found: map[string]int64{}}
	for char := events.CharID(1); char <= historyChars; char++ {
		m.bags[char] = map[string]int64{}
	}
	return m
}

func tradeHistory(r *rand.Rand) []events.StateChanged {
	m := newMarket(r)
	for range historyLength {
		if r.IntN(3) == 0 {
			m.find()
		} else {
			m.trade()
		}
	}
	return m.history
}

func (m *market) item() string { return fmt.Sprint("item-", m.r.IntN(2)) }

// find gives a character some of an item.
func (m *market) find() {
	char, v := m.next()
	item, n := m.item(), 1+m.r.Int64N(3)
	m.bags[char][item] += n
	m.found[item] += n
	m.say(char, v, uuid.Nil, events.ScopeInventory, events.Inventory{
		Items:     []events.ItemChange{{ItemID: item, Delta: n, Quantity: m.bags[char][item]}},
		Transfers: slices.Clone(m.trades),
	})
}

// trade moves some of an item, where the sender has any. Now and then a change
// of the sender's comes between: it carries the trade in escrow.
func (m *market) trade() {
	from, v := m.next()
	to, item := 1+from%historyChars, m.item()
	if m.bags[from][item] == 0 {
		return
	}
	n := 1 + m.r.Int64N(m.bags[from][item])
	m.bags[from][item] -= n
	m.bags[to][item] += n
	t := events.Transfer{ID: m.uuid(), From: from, To: to, Version: v, Items: []events.Moved{{
		ItemID: item, Quantity: n, FromQuantity: m.bags[from][item],
	}}}
	if m.r.IntN(3) == 0 {
		_, later := m.at(from)
		m.bags[from][item]++
		m.found[item]++
		m.say(from, later, uuid.Nil, events.ScopeInventory, events.Inventory{
			Items:     []events.ItemChange{{ItemID: item, Delta: 1, Quantity: m.bags[from][item]}},
			Transfers: append(slices.Clone(m.trades), t),
		})
	}
	_, t.ToVersion = m.at(to)
	t.Items = []events.Moved{{ItemID: item, Quantity: n, FromQuantity: t.Items[0].FromQuantity, ToQuantity: m.bags[to][item]}}
	m.trades = append(m.trades, t)
	carried := slices.Clone(m.trades)
	m.say(from, t.Version, uuid.Nil, events.ScopeInventory, events.Inventory{
		Items: []events.ItemChange{{ItemID: item, Delta: -n, Quantity: t.Items[0].FromQuantity}}, Transfers: carried,
	})
	m.say(to, t.ToVersion, uuid.Nil, events.ScopeInventory, events.Inventory{
		Items: []events.ItemChange{{ItemID: item, Delta: n, Quantity: m.bags[to][item]}}, Transfers: carried,
	})
}

// Whatever the order in which events of trades are saved, no transaction shows
// an item twice or nowhere: what characters have and what is in escrow adds up
// to what was found by the events that are saved so far, or by some of them.
func TestNoMomentShowsAnItemTwiceOrNowhere(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		m := newMarket(r)
		// All that is ever found is there before the trades begin.
		for range 6 {
			m.find()
		}
		given, want := m.history, maps.Clone(m.found)
		m.history = nil
		for range 25 {
			m.tradeOnly()
		}
		r.Shuffle(len(m.history), func(i, j int) { m.history[i], m.history[j] = m.history[j], m.history[i] })
		for _, table := range []string{"items", "transfers"} {
			if _, err := pool.Exec(t.Context(), "DELETE FROM "+table); err != nil {
				t.Fatal(err)
			}
		}
		saveAll(t, pool, given)
		for i := range m.history {
			saveAll(t, pool, m.history[i:i+1])
			if got := shown(t, pool); !maps.Equal(got, want) {
				t.Fatalf("seed %d, after %d of %d events: %v are shown, %v were found", seed, i+1, len(m.history), got, want)
			}
		}
	}
}

// tradeOnly is trade without changes that find something.
func (m *market) tradeOnly() {
	found, bags := maps.Clone(m.found), maps.Clone(m.bags)
	for char := range bags {
		bags[char] = maps.Clone(bags[char])
	}
	said, trades := len(m.history), len(m.trades)
	m.trade()
	if !maps.Equal(found, m.found) {
		m.found, m.bags, m.history, m.trades = found, bags, m.history[:said], m.trades[:trades]
	}
}

func saveAll(t *testing.T, pool interface {
	BeginTx(context.Context, pgx.TxOptions) (pgx.Tx, error)
}, batch []events.StateChanged) {
	t.Helper()
	err := pgx.BeginTxFunc(t.Context(), pool, pgx.TxOptions{}, func(tx pgx.Tx) error {
		return savers.InventoryStateSaver{}.Save(t.Context(), tx, batch)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// shown adds up, by item, what characters have and what is in escrow.
func shown(t *testing.T, pool interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
}) map[string]int64 {
	t.Helper()
	rows, err := pool.Query(t.Context(), `
		SELECT item_id, sum(quantity)::bigint FROM (
			SELECT item_id, quantity FROM items
			UNION ALL
			SELECT i->>'item_id', (i->>'quantity')::bigint FROM transfers, jsonb_array_elements(items) i WHERE to_version = 0
		) AS everything GROUP BY item_id`)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]int64{}
	var item string
	var n int64
	if _, err := pgx.ForEachRow(rows, []any{&item, &n}, func() error { sums[item] = n; return nil }); err != nil {
		t.Fatal(err)
	}
	return sums
}

// A trade that Redis lost before anybody was told of it, and that was made again,
// is saved as it was made last, in whatever order the events of both come.
func TestTradeThatWasMadeTwiceIsSavedAsItWasLast(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	side := func(t events.Transfer, char events.CharID) events.StateChanged {
		return game.TransferEvent(t, char, []events.Transfer{t})
	}
	first := events.Transfer{ID: uuid.New(), From: 1, To: 2, Version: 100, ToVersion: 110,
		Items: []events.Moved{{ItemID: "rope", Quantity: 2, FromQuantity: 3, ToQuantity: 2}}}
	last := first
	last.Version, last.ToVersion = 200, 210
	last.Items = []events.Moved{{ItemID: "rope", Quantity: 2, FromQuantity: 1, ToQuantity: 7}}
	escrow := last
	escrow.ToVersion, escrow.Items = 0, []events.Moved{{ItemID: "rope", Quantity: 2, FromQuantity: 1}}
	history := []events.StateChanged{side(first, 1), side(first, 2), side(escrow, 1), side(last, 1), side(last, 2)}
	for seed := range uint64(60) {
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(history), func(i, j int) { history[i], history[j] = history[j], history[i] })
		if _, err := pool.Exec(t.Context(), "DELETE FROM items"); err != nil {
			t.Fatal(err)
		}
		if _, err := pool.Exec(t.Context(), "DELETE FROM transfers"); err != nil {
			t.Fatal(err)
		}
		for batch := range slices.Chunk(history, 1+int(seed%5)) {
			saveAll(t, pool, batch)
		}
		var version, toVersion, has, got int64
		err := pool.QueryRow(t.Context(), `SELECT version, to_version,
			(SELECT quantity FROM items WHERE char_id = 1), (SELECT quantity FROM items WHERE char_id = 2) FROM transfers`,
		).Scan(&version, &toVersion, &has, &got)
		if err != nil {
			t.Fatal(err)
		}
		if version != 200 || toVersion != 210 || has != 1 || got != 7 {
			t.Fatalf("seed %d: versions %d and %d, the sender has %d, the receiver %d; want 200, 210, 1, 7", seed, version, toVersion, has, got)
		}
	}
}

// An id that the same sender uses again, for another receiver, is another trade's: the
// row stays as it was, and is never a mixture of both.
func TestTradeOfAnotherReceiverLeavesTheRowAlone(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	first := events.Transfer{ID: uuid.New(), From: 1, To: 2, Version: 100, ToVersion: 110,
		Items: []events.Moved{{ItemID: "rope", Quantity: 2, FromQuantity: 3, ToQuantity: 2}}}
	other := first
	other.To, other.Version, other.ToVersion = 3, 200, 210
	for _, trade := range []events.Transfer{first, other} {
		saveAll(t, pool, []events.StateChanged{game.TransferEvent(trade, trade.From, []events.Transfer{trade})})
	}
	var to, version, toVersion int64
	if err := pool.QueryRow(t.Context(), "SELECT to_char, version, to_version FROM transfers").Scan(&to, &version, &toVersion); err != nil {
		t.Fatal(err)
	}
	if to != 2 || version != 100 || toVersion != 110 {
		t.Errorf("the trade with 2 at 100 and 110 is one with %d at %d and %d", to, version, toVersion)
	}
}

// One batch ends two trades of one id: the row that is there is that of one of them, and has
// its end, not that of the other.
func TestBatchEndsTheTradeWhoseRowIsThere(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	moved := []events.Moved{{ItemID: "rope", Quantity: 2, FromQuantity: 3}}
	trade := events.Transfer{ID: uuid.New(), From: 1, To: 2, Version: 100, Items: moved}
	other := events.Transfer{ID: trade.ID, From: 2, To: 1, Version: 200, ToVersion: events.TakenBack, Items: moved}
	side := func(t events.Transfer) events.StateChanged {
		return game.TransferEvent(t, t.From, []events.Transfer{t})
	}
	saveAll(t, pool, []events.StateChanged{side(trade)})
	trade.ToVersion = events.TakenBack
	saveAll(t, pool, []events.StateChanged{side(other), side(trade)})
	var from, toVersion int64
	if err := pool.QueryRow(t.Context(), "SELECT from_char, to_version FROM transfers").Scan(&from, &toVersion); err != nil {
		t.Fatal(err)
	}
	if from != 1 || toVersion != 1 {
		t.Errorf("the trade of 1 is one of %d, at %d", from, toVersion)
	}
}
