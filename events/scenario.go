package events

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// Scenario is how far a character has come in a scenario. It is the data of
// ScopeScenario; the event's session is the one that made the progress.
type Scenario struct {
	ScenarioID string          `json:"scenario_id"`
	Step       int32           `json:"step"`   // at least 0
	Status     string          `json:"status"` // a word: active, paused, completed, abandoned …
	Data       json.RawMessage `json:"data"`   // an object of the game's own
}

// RowScenario is the key of a scenario's row.
func RowScenario(scenarioID string) RowKey { return RowKey("scenario:" + scenarioID) }

// Validate implements Data.
func (v Scenario) Validate(*StateChanged) error {
	switch {
	case CheckText(v.ScenarioID) != nil:
		return wrong("scenario_id", ErrText)
	case v.Step < 0:
		return wrong("step", ErrQuantity)
	case !IsWord(v.Status):
		return wrong("status", ErrWord)
	case CheckData(v.Data) != nil:
		return wrong("data", ErrData)
	}
	return nil
}

func (Scenario) scope() Scope { return ScopeScenario }

// Rows implements Data.
func (v Scenario) Rows(e *StateChanged) []Row {
	return []Row{{RowScenario(v.ScenarioID), e.Version}}
}

func (v Scenario) write(w *writer) {
	w.ObjStart()
	w.str("scenario_id", v.ScenarioID)
	w.int("step", int64(v.Step))
	w.str("status", v.Status)
	w.FieldStart("data")
	w.Raw(jx.Raw(v.Data))
	w.ObjEnd()
}

var scenarioFields = strictjson.NewFields("scenario_id", "step", "status", "data")

func readScenario(d *jx.Decoder) (Data, error) {
	var v Scenario
	err := scenarioFields.Read(d, func(i int) (err error) {
		switch i {
		case 0:
			v.ScenarioID, err = strictjson.String(d)
		case 1:
			v.Step, err = strictjson.Int32(d)
		case 2:
			v.Status, err = strictjson.String(d)
		case 3:
			v.Data, err = DecodeFreeForm(d)
		}
		return err
	})
	return v, err
}

// DecodeFreeForm reads data of the game's own and returns a copy of it without
// insignificant white space, which is how it is kept everywhere.
func DecodeFreeForm(d *jx.Decoder) (json.RawMessage, error) {
	raw, err := strictjson.Raw(d)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSyntax, err)
	}
	return out.Bytes(), nil
}
