package game

import (
	"bytes"
	"fmt"

	"github.com/savepoint-games/savepoint/events"
)

// Describe says each row as text. Equal texts are equal rows.
func (s *State) Describe() map[events.RowKey]string {
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
