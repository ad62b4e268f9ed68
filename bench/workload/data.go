package workload

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

const (
	itemNames     = 50
	scenarioNames = 4
	lastStep      = 12 // of a scenario, which then begins again
)

var (
	zones     = [...]string{"harbor", "old-road", "north-gate", "marsh", "citadel", "salt-flats", "deep-wood", "ferry"}
	scenarios = [scenarioNames]string{"old-road", "sunken-keep", "long-night", "harvest"}
)

func itemName(i uint8) string { return fmt.Sprintf("item-%02d", i) }

func (w *world) vitals() events.Vitals {
	return events.Vitals{
		HP: w.random.Int32N(1000), Energy: w.random.Int32N(500),
		Location: events.Location{
			Zone: zones[w.random.IntN(len(zones))],
			// Eighths: PostgreSQL and Go write them alike.
			X: float64(w.random.IntN(16000)-8000) / 8, Y: float64(w.random.IntN(16000)-8000) / 8,
		},
	}
}

func (w *world) inventory(char events.CharID) events.Inventory {
	return events.Inventory{Items: w.changes(char, 1+w.random.IntN(3), false)}
}

// changes gives or takes n different items, or only gives them.
func (w *world) changes(char events.CharID, n int, give bool) []events.ItemChange {
	out := make([]events.ItemChange, n)
	first := w.random.IntN(itemNames)
	for i := range out {
		item := slot{char, uint8((first + i*17) % itemNames)} // 17 shares no factor with 50
		delta := 1 + w.random.Int64N(5)
		if have := w.items[item]; have > 0 && !give && w.random.IntN(2) == 0 {
			delta = -min(have, delta)
		}
		w.items[item] += delta
		out[i] = events.ItemChange{ItemID: itemName(item.index), Delta: delta, Quantity: w.items[item]}
	}
	return out
}

func (w *world) combat(char events.CharID, v events.Version) events.Combat {
	fight := events.Combat{
		Outcome: "defeat", FinishedAt: v.Time(),
		StartedAt: v.Time().Add(-time.Duration(20+w.random.IntN(300)) * time.Second),
		Rounds:    1 + w.random.Int32N(20),
	}
	if w.random.IntN(4) > 0 {
		fight.Outcome, fight.XPGained = "victory", 10+w.random.Int64N(200)
		fight.Loot = w.changes(char, w.random.IntN(4), true)
	}
	w.xp[char] += fight.XPGained
	fight.XP = w.xp[char]
	return fight
}

func (w *world) scenario(char events.CharID) (session uuid.UUID, data events.Scenario) {
	at := slot{char, uint8(w.random.IntN(scenarioNames))}
	if w.steps[at] == 0 {
		w.sessions[at] = w.uuid()
	}
	w.steps[at]++
	step, status := w.steps[at], "active"
	if step == lastStep {
		w.steps[at], status = 0, "completed"
	}
	return w.sessions[at], events.Scenario{
		ScenarioID: scenarios[at.index], Step: step, Status: status,
		Data: json.RawMessage(fmt.Sprintf(`{"choices":%d,"met":"keeper-%d"}`, w.random.IntN(1<<16), w.random.IntN(100))),
	}
}

// uuid makes a random UUID of the seed's own.
func (w *world) uuid() (id uuid.UUID) {
	binary.BigEndian.PutUint64(id[:8], w.random.Uint64())
	binary.BigEndian.PutUint64(id[8:], w.random.Uint64())
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}
