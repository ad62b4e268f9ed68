// Package reputation is a scope of a game's own: how a character stands with
// the factions of the world. It shows the six steps of CONTRIBUTING.md, outside
// of the product's own packages.
package reputation

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/savepoint-games/savepoint/events"
)

// Scope is the scope's name: events go to sync.reputation.<char_id>.
const Scope events.Scope = "reputation"

func init() { events.Define(Scope, decode) }

// Standing is the data of an event: the standing with one faction after a
// change. It carries the result, not only the change, so that the higher
// version is the whole truth.
type Standing struct {
	Faction string `json:"faction"`
	Delta   int64  `json:"delta"`
	Points  int64  `json:"points"` // may be below zero: some factions hate
}

// Validate implements events.Data.
func (s Standing) Validate(*events.StateChanged) error {
	if err := events.CheckText(s.Faction); err != nil {
		return &events.FieldError{Field: "faction", Err: err}
	}
	return nil
}

// Rows implements events.Data.
func (s Standing) Rows(e *events.StateChanged) []events.Row {
	return []events.Row{{Key: events.RowKey("reputation:" + s.Faction), Version: e.Version}}
}

// decode refuses unknown and missing fields, as every decoder must.
func decode(raw []byte) (events.Data, error) {
	var in struct {
		Faction *string `json:"faction"`
		Delta   *int64  `json:"delta"`
		Points  *int64  `json:"points"`
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, fmt.Errorf("%w: %w", events.ErrWrongType, err)
	}
	for field, missing := range map[string]bool{"faction": in.Faction == nil, "delta": in.Delta == nil, "points": in.Points == nil} {
		if missing {
			return nil, &events.FieldError{Field: field, Err: events.ErrMissingField}
		}
	}
	return Standing{*in.Faction, *in.Delta, *in.Points}, nil
}
