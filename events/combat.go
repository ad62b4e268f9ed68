package events

import (
	"time"

	"github.com/go-faster/jx"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// Combat is the result of a fight that has ended: its line in the history, and
// the experience and items that the character has after it. The event's session
// is the fight. It is the data of ScopeCombat.
type Combat struct {
	Outcome    string       `json:"outcome"` // a word: victory, defeat, abandoned …
	StartedAt  time.Time    `json:"started_at"`
	FinishedAt time.Time    `json:"finished_at"`
	Rounds     int32        `json:"rounds"`    // at least 0
	XPGained   int64        `json:"xp_gained"` // at least 0
	XP         int64        `json:"xp"`        // the resulting total, at least 0
	Loot       []ItemChange `json:"loot"`      // may be empty
	// Transfers are as those of Inventory.
	Transfers []Transfer `json:"transfers,omitempty"`
}

// RowProgress is the key of the one row of progress a character has.
const RowProgress RowKey = "progress"

// RowFight is the key of a fight's line in the history.
func RowFight(session uuid.UUID) RowKey { return RowKey("fight:" + session.String()) }

// Validate implements Data.
func (v Combat) Validate(e *StateChanged) error {
	switch {
	case !IsWord(v.Outcome):
		return wrong("outcome", ErrWord)
	case v.Rounds < 0:
		return wrong("rounds", ErrQuantity)
	case v.XPGained < 0:
		return wrong("xp_gained", ErrQuantity)
	case v.XP < 0:
		return wrong("xp", ErrQuantity)
	}
	if err := validateItems("loot", v.Loot, e.Version); err != nil {
		return err
	}
	return validateTransfers(v.Transfers)
}

func (Combat) scope() Scope { return ScopeCombat }

// Rows implements Data.
func (v Combat) Rows(e *StateChanged) []Row {
	rows := make([]Row, 0, 2+len(v.Loot))
	rows = append(rows, Row{RowFight(e.SessionID), e.Version}, Row{RowProgress, e.Version})
	return transferRows(itemRows(rows, v.Loot, e.Version), v.Transfers, e.CharID)
}

func (v Combat) write(w *writer) {
	w.ObjStart()
	w.str("outcome", v.Outcome)
	w.time("started_at", v.StartedAt)
	w.time("finished_at", v.FinishedAt)
	w.int("rounds", int64(v.Rounds))
	w.int("xp_gained", v.XPGained)
	w.int("xp", v.XP)
	w.FieldStart("loot")
	w.items(v.Loot)
	w.transfers(v.Transfers)
	w.ObjEnd()
}

var combatFields = strictjson.NewFields("outcome", "started_at", "finished_at", "rounds", "xp_gained", "xp", "loot", "transfers?")

func readCombat(d *jx.Decoder) (Data, error) {
	var v Combat
	err := combatFields.Read(d, func(i int) error { return v.decodeField(d, i) })
	return v, err
}

func (v *Combat) decodeField(d *jx.Decoder, i int) (err error) {
	switch i {
	case 0:
		v.Outcome, err = strictjson.String(d)
	case 1:
		v.StartedAt, err = strictjson.Time(d)
	case 2:
		v.FinishedAt, err = strictjson.Time(d)
	case 3:
		v.Rounds, err = strictjson.Int32(d)
	case 4:
		v.XPGained, err = strictjson.Int64(d)
	case 5:
		v.XP, err = strictjson.Int64(d)
	case 6:
		v.Loot, err = decodeItems(d)
	case 7:
		v.Transfers, err = decodeTransfers(d)
	}
	return err
}
