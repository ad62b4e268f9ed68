package savers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
	"github.com/savepoint-games/savepoint/savers"
	"github.com/savepoint-games/savepoint/savers/savertest"
)

func TestSaversConverge(t *testing.T) {
	for name, suite := range suites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			savertest.Converges(t, newPool(t), suite)
		})
	}
}

// Behind a pooler that shares sessions nothing may be prepared in one.
func TestSaversConvergeWithoutPreparedStatements(t *testing.T) {
	for name, suite := range suites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := openPool(t, stacktest.Database(t)+"&default_query_exec_mode=cache_describe")
			suite.Seeds = 3
			savertest.Converges(t, pool, suite)
			var prepared int
			if err := pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_prepared_statements WHERE name <> ''").Scan(&prepared); err != nil || prepared > 0 {
				t.Errorf("%d prepared statements (%v)", prepared, err)
			}
		})
	}
}

var suites = map[string]savertest.Suite{
	"vitals":    {Saver: savers.VitalsStateSaver{}, History: vitalsHistory, Tables: []string{"character_vitals"}},
	"inventory": {Saver: savers.InventoryStateSaver{}, History: inventoryHistory, Tables: []string{"items"}},
	"trades":    {Saver: savers.InventoryStateSaver{}, History: tradeHistory, Tables: []string{"items", "transfers"}},
	"scenario":  {Saver: savers.ScenarioStateSaver{}, History: scenarioHistory, Tables: []string{"scenario_progress"}},
	"combat": {
		Saver: savers.CombatStateSaver{}, History: combatHistory,
		Tables: []string{"combat_history", "character_progress", "items"},
	},
}

// The suite itself must be able to fail: a saver without the version guard, and
// one that counts instead of storing results, are found out.
func TestSuiteFindsSaversThatDoNotConverge(t *testing.T) {
	t.Parallel()
	for name, saver := range map[string]savers.Saver{
		"no version guard": brokenSaver("version = EXCLUDED.version, quantity = EXCLUDED.quantity"),
		"adds deltas":      brokenSaver("version = EXCLUDED.version, quantity = items.quantity + EXCLUDED.quantity"),
	} {
		suite := savertest.Suite{Saver: saver, History: inventoryHistory, Tables: []string{"items"}}
		err := savertest.Check(t.Context(), newPool(t), suite, 1)
		if err == nil || !strings.Contains(err.Error(), "the rows differ") {
			t.Errorf("%s: the suite says %v", name, err)
		}
	}
}

// brokenSaver saves items with another conflict rule.
type brokenSaver string

func (brokenSaver) Scope() events.Scope { return events.ScopeInventory }

func (s brokenSaver) Save(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
	for _, e := range batch {
		for _, item := range e.Data.(events.Inventory).Items {
			_, err := tx.Exec(ctx, "INSERT INTO items (char_id, item_id, version, quantity) VALUES ($1, $2, $3, $4) ON CONFLICT (char_id, item_id) DO UPDATE SET "+string(s),
				int64(e.CharID), item.ItemID, int64(item.VersionIn(e.Version)), item.Quantity)
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Histories of some characters. Versions rise by character, as commits do.

const (
	historyChars  = 4
	historyLength = 60
)

type historian struct {
	r        *rand.Rand
	versions map[events.CharID]events.Version
	history  []events.StateChanged
}

func newHistorian(r *rand.Rand) *historian {
	return &historian{r: r, versions: make(map[events.CharID]events.Version)}
}

// next is the next moment of a random character.
func (h *historian) next() (events.CharID, events.Version) {
	return h.at(events.CharID(1 + h.r.IntN(historyChars)))
}

// at is the next moment of a character.
func (h *historian) at(char events.CharID) (events.CharID, events.Version) {
	h.versions[char] += events.Version(1 + h.r.IntN(3))
	return char, 1_790_000_000_000_000 + h.versions[char]
}

func (h *historian) say(char events.CharID, v events.Version, session uuid.UUID, scope events.Scope, data events.Data) {
	h.history = append(h.history, events.New(char, v, events.CauseAction, session, scope, data))
}

func (h *historian) uuid() (id uuid.UUID) {
	for i := range id {
		id[i] = byte(h.r.Uint32())
	}
	return id
}

func vitalsHistory(r *rand.Rand) []events.StateChanged {
	h := newHistorian(r)
	for range historyLength {
		char, v := h.next()
		h.say(char, v, uuid.Nil, events.ScopeVitals, events.Vitals{
			HP: r.Int32N(100), Energy: r.Int32N(100),
			Location: events.Location{Zone: fmt.Sprint("zone ", r.IntN(5)), X: r.Float64(), Y: -r.Float64()},
		})
	}
	return h.history
}

// inventoryHistory mixes single changes with dispatches of the whole bag, whose
// items carry versions of their own.
func inventoryHistory(r *rand.Rand) []events.StateChanged {
	h := newHistorian(r)
	bags := make(map[events.CharID]map[string]events.ItemChange)
	for range historyLength {
		char, v := h.next()
		if bags[char] == nil {
			bags[char] = make(map[string]events.ItemChange)
		}
		change := events.ItemChange{ItemID: fmt.Sprint("item-", r.IntN(5)), Delta: 1, Quantity: r.Int64N(4), Version: v}
		bags[char][change.ItemID] = change
		if r.IntN(4) > 0 {
			change.Version = 0
			h.say(char, v, uuid.Nil, events.ScopeInventory, events.Inventory{Items: []events.ItemChange{change}})
			continue
		}
		var all []events.ItemChange
		for _, item := range bags[char] {
			all = append(all, item)
		}
		h.say(char, v, uuid.Nil, events.ScopeInventory, events.Inventory{Items: all})
	}
	return h.history
}

func scenarioHistory(r *rand.Rand) []events.StateChanged {
	h := newHistorian(r)
	for i := range historyLength {
		char, v := h.next()
		h.say(char, v, h.uuid(), events.ScopeScenario, events.Scenario{
			ScenarioID: fmt.Sprint("road-", r.IntN(3)), Step: int32(i), Status: "active",
			Data: json.RawMessage(fmt.Sprintf(`{"n":%d,"text":"<ü\n>"}`, i)),
		})
	}
	return h.history
}

// combatHistory ends fights; every now and then one is dispatched again later.
func combatHistory(r *rand.Rand) []events.StateChanged {
	h := newHistorian(r)
	xp := make(map[events.CharID]int64)
	for range historyLength / 2 {
		char, v := h.next()
		gained := r.Int64N(100)
		xp[char] += gained
		var loot []events.ItemChange
		for n := range r.IntN(3) {
			loot = append(loot, events.ItemChange{ItemID: fmt.Sprint("loot-", n), Delta: 1, Quantity: r.Int64N(9)})
		}
		h.say(char, v, h.uuid(), events.ScopeCombat, events.Combat{
			Outcome: "victory", StartedAt: v.Time(), FinishedAt: v.Time(), Rounds: r.Int32N(9),
			XPGained: gained, XP: xp[char], Loot: loot,
		})
	}
	return h.history
}
