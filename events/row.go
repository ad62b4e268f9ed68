package events

import (
	"strings"

	"github.com/google/uuid"
)

// A Row is one row of cold state at a version.
type Row struct {
	Key     RowKey
	Version Version
}

// RowVersions are rows of one character, each at a version: what is dirty, what
// is saved, what somebody asks for.
type RowVersions map[RowKey]Version

// Add takes in rows; where one is there already the higher version stays.
func (v RowVersions) Add(rows ...Row) {
	for _, row := range rows {
		v[row.Key] = max(v[row.Key], row.Version)
	}
}

// Has reports whether each of some rows is there, at its version or above.
func (v RowVersions) Has(rows ...Row) bool {
	for _, row := range rows {
		if v[row.Key] < row.Version {
			return false
		}
	}
	return true
}

// A RowKey names a row among those of one character, as in "item:potion".
type RowKey string

// Fight returns the session of a fight's row.
func (k RowKey) Fight() (uuid.UUID, bool) {
	text, ok := strings.CutPrefix(string(k), "fight:")
	id, err := uuid.Parse(text)
	return id, ok && err == nil
}

// Transfer returns the trade of a trade's row.
func (k RowKey) Transfer() (uuid.UUID, bool) {
	text, ok := strings.CutPrefix(string(k), transferPrefix)
	id, err := uuid.Parse(text)
	return id, ok && err == nil
}

// Scope is the scope whose dispatch saves the row; "" for a row that no saver
// stores.
func (k RowKey) Scope() Scope {
	kind, _, _ := strings.Cut(string(k), ":")
	switch kind {
	case "vitals":
		return ScopeVitals
	case "item", "transfer":
		return ScopeInventory
	case "fight", "progress":
		return ScopeCombat
	case "scenario":
		return ScopeScenario
	}
	return ""
}

// Name is what the key names among the rows of its kind: the item, the
// scenario; "" where there is one row of the kind.
func (k RowKey) Name() string {
	_, name, _ := strings.Cut(string(k), ":")
	return name
}
