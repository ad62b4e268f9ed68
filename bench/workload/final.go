package workload

import (
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/savepoint-games/savepoint/events"
)

// A Table names a table of PostgreSQL.
type Table string

// The tables that the events of the four scopes lead to.
const (
	TableVitals   Table = "character_vitals"
	TableProgress Table = "character_progress"
	TableItems    Table = "items"
	TableFights   Table = "combat_history"
	TableScenario Table = "scenario_progress"
)

// Tables lists them.
func Tables() []Table {
	return []Table{TableVitals, TableProgress, TableItems, TableFights, TableScenario}
}

// Final is what must be stored once all events of a workload are saved,
// whatever way they took.
type Final struct{ rows map[Table]map[string]finalRow }

type finalRow struct {
	version events.Version
	value   string
}

// FinalOf adds up a workload, or several of different characters.
func FinalOf(workloads ...iter.Seq[events.StateChanged]) *Final {
	f := &Final{rows: map[Table]map[string]finalRow{}}
	for _, table := range Tables() {
		f.rows[table] = map[string]finalRow{}
	}
	for _, w := range workloads {
		for e := range w {
			f.Add(&e)
		}
	}
	return f
}

// Add adds an event, in any order.
func (f *Final) Add(e *events.StateChanged) {
	char := e.CharID.String()
	switch data := e.Data.(type) {
	case events.Vitals:
		f.set(TableVitals, char, e.Version, text(data.HP, data.Energy, data.Location.Zone, data.Location.X, data.Location.Y))
	case events.Inventory:
		f.setItems(e, data.Items)
	case events.Combat:
		f.set(TableProgress, char, e.Version, text(data.XP))
		f.setItems(e, data.Loot)
		f.set(TableFights, e.SessionID.String(), e.Version, text(char, data.Outcome,
			data.StartedAt.UnixMicro(), data.FinishedAt.UnixMicro(), data.Rounds, data.XPGained, lootText(data.Loot)))
	case events.Scenario:
		f.set(TableScenario, char+" "+data.ScenarioID, e.Version, text(e.SessionID, data.Step, data.Status, string(data.Data)))
	}
}

func (f *Final) setItems(e *events.StateChanged, items []events.ItemChange) {
	for _, item := range items {
		f.set(TableItems, e.CharID.String()+" "+item.ItemID, item.VersionIn(e.Version), text(item.Quantity))
	}
}

func (f *Final) set(table Table, key string, v events.Version, value string) {
	if have, ok := f.rows[table][key]; !ok || have.version < v {
		f.rows[table][key] = finalRow{v, value}
	}
}

// Rows is how many rows a table must have.
func (f *Final) Rows(table Table) int { return len(f.rows[table]) }

// Check compares all rows that a table has: key, version and values as the
// query of Select gives them. The error names the first that is wrong, or says
// how many there are too few or too many.
func (f *Final) Check(table Table, stored iter.Seq[StoredRow]) error {
	n := 0
	for row := range stored {
		n++
		want, ok := f.rows[table][row.Key]
		if !ok {
			return fmt.Errorf("%s has a row %q that no event led to", table, row.Key)
		}
		if row.Version != want.version || row.Value != want.value {
			return fmt.Errorf("%s row %q is %q at version %d, want %q at %d", table, row.Key, row.Value, row.Version, want.value, want.version)
		}
	}
	if n != f.Rows(table) {
		return fmt.Errorf("%s has %d rows, want %d", table, n, f.Rows(table))
	}
	return nil
}

// A StoredRow is a row as the query of Select reads it.
type StoredRow struct {
	Key     string
	Version events.Version
	Value   string
}

// Select is the query that reads a table in the form that Check compares.
func Select(table Table) string {
	key, value := "char_id::text", ""
	switch table {
	case TableVitals:
		value = "concat_ws(' ', hp, energy, zone, x, y)"
	case TableProgress:
		value = "xp::text"
	case TableItems:
		key, value = "concat_ws(' ', char_id, item_id)", "quantity::text"
	case TableFights:
		key, value = "session_id::text", `concat_ws(' ', char_id, outcome, (extract(epoch FROM started_at) * 1000000)::bigint,
			(extract(epoch FROM finished_at) * 1000000)::bigint, rounds, xp_gained,
			(SELECT '[' || coalesce(string_agg(concat_ws(':', line->>'item_id', line->>'delta', line->>'quantity'), ',' ORDER BY nr), '') || ']'
			 FROM jsonb_array_elements(loot) WITH ORDINALITY AS l(line, nr)))`
	case TableScenario:
		key, value = "concat_ws(' ', char_id, scenario_id)", "concat_ws(' ', session_id, step, status, data::text)"
	}
	return fmt.Sprintf("SELECT %s, version, %s FROM %s", key, value, table)
}

func lootText(loot []events.ItemChange) string {
	lines := make([]string, len(loot))
	for i, l := range loot {
		lines[i] = fmt.Sprintf("%s:%d:%d", l.ItemID, l.Delta, l.Quantity)
	}
	return "[" + strings.Join(lines, ",") + "]"
}

func text(values ...any) string {
	words := make([]string, len(values))
	for i, v := range values {
		if f, ok := v.(float64); ok {
			words[i] = strconv.FormatFloat(f, 'f', -1, 64)
			continue
		}
		words[i] = fmt.Sprint(v)
	}
	return strings.Join(words, " ")
}
