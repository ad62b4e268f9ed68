package events

import (
	"fmt"
	"maps"
	"slices"

	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// A Scope names one domain of state: what is saved together, by one saver.
type Scope string

// The scopes of the product. Define adds one of your own.
const (
	ScopeCombat    Scope = "combat"
	ScopeInventory Scope = "inventory"
	ScopeVitals    Scope = "vitals"
	ScopeScenario  Scope = "scenario"

	// ScopeCleanup carries the sweeper's ticks. It has no state, no event data
	// and no place in the stream of changes.
	ScopeCleanup Scope = "cleanup"
)

// A DataDecoder reads the data of one scope from JSON. It must refuse unknown
// and missing fields, and must copy what it keeps of raw. If it panics, the event is a
// bad one (ErrPanicked).
type DataDecoder func(raw []byte) (Data, error)

// dataReader reads the data of one scope from where d stands.
type dataReader func(d *jx.Decoder) (Data, error)

var readers = map[Scope]dataReader{
	ScopeCombat:    readCombat,
	ScopeInventory: readInventory,
	ScopeVitals:    readVitals,
	ScopeScenario:  readScenario,
}

// Define adds a scope. Call it from an init function: it is not safe beside
// Decode. It panics where the scope is defined already or its name is not one
// token of a subject, because both are mistakes in the program.
func Define(s Scope, decode DataDecoder) {
	if readers[s] != nil || s == ScopeCleanup || decode == nil {
		panic(fmt.Sprintf("events: scope %q is defined twice, or without a decoder", s))
	}
	if !IsWord(string(s)) {
		panic(fmt.Sprintf("events: scope %q must be lower-case letters, digits, - and _", s))
	}
	readers[s] = func(d *jx.Decoder) (Data, error) {
		raw, err := strictjson.Raw(d)
		if err != nil {
			return nil, err
		}
		return decode(raw)
	}
}

// Scopes lists the scopes that have state, in alphabetical order.
func Scopes() []Scope { return slices.Sorted(maps.Keys(readers)) }

// HasState reports whether s is a scope whose changes are saved.
func (s Scope) HasState() bool { return readers[s] != nil }
