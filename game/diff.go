package game

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/savepoint-games/savepoint/events"
)

// A Difference is one row that two copies of a character do not agree on.
type Difference struct {
	Char      events.CharID
	Row       events.RowKey
	Hot, Cold string // the two values, "absent" where a copy lacks the row
}

func (d Difference) String() string {
	return fmt.Sprintf("character %d, %s:\n  - cold %s\n  + hot  %s", d.Char, d.Row, d.Cold, d.Hot)
}

const absent = "absent"

// Diff compares the hot copy of a character with the cold one, row by row, in
// the order of the rows' keys. It is empty where they are equal.
func Diff(hot, cold *State) []Difference {
	ours, theirs := hot.describe(), cold.describe()
	var diffs []Difference
	keys := maps.Clone(ours)
	maps.Copy(keys, theirs)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		a, b := ours[key], theirs[key]
		if a == b {
			continue
		}
		if a == "" {
			a = absent
		}
		if b == "" {
			b = absent
		}
		diffs = append(diffs, Difference{Char: hot.Char, Row: key, Hot: a, Cold: b})
	}
	return diffs
}

// describe says each row as text. Equal texts are equal rows.
func (s *State) describe() map[events.RowKey]string {
	rows := make(map[events.RowKey]string)
	if v := s.Vitals; v != nil {
		rows[events.RowVitals] = fmt.Sprintf("hp %d, energy %d, at %q (%v, %v), version %d",
			v.HP, v.Energy, v.Location.Zone, v.Location.X, v.Location.Y, v.Version)
	}
	if s.Progress.Version > 0 {
		rows[events.RowProgress] = fmt.Sprintf("xp %d, version %d", s.Progress.XP, s.Progress.Version)
	}
	for id, item := range s.Items {
		rows[events.RowItem(id)] = fmt.Sprintf("quantity %d, version %d", item.Quantity, item.Version)
	}
	for id, p := range s.Scenarios {
		rows[events.RowScenario(id)] = fmt.Sprintf("step %d, %s, session %s, data %s, version %d",
			p.Step, p.Status, p.SessionID, bytes.TrimSpace(p.Data), p.Version)
	}
	for id, session := range s.Sessions {
		if !session.Open() {
			rows[events.RowFight(id)] = fmt.Sprintf("fight that is not saved, version %d", session.Version)
		}
	}
	for id, t := range s.Transfers {
		rows[events.RowTransfer(id)] = fmt.Sprintf("trade that is not saved, versions %d and %d", t.Version, t.ToVersion)
	}
	return rows
}
