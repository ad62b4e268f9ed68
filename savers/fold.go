package savers

import (
	"cmp"
	"maps"
	"slices"

	"github.com/savepoint-games/savepoint/events"
)

// newest folds a batch: for each key it keeps the value with the highest
// version. PostgreSQL takes a key only once in one statement.
type newest[K comparable, V any] map[K]versioned[V]

type versioned[V any] struct {
	version events.Version
	value   V
}

func (n newest[K, V]) add(key K, v events.Version, value V) {
	if have, ok := n[key]; !ok || have.version < v {
		n[key] = versioned[V]{v, value}
	}
}

// keys returns the keys in ascending order. All savers lock rows in this order, so that
// no two of them wait for each other.
func (n newest[K, V]) keys(compare func(a, b K) int) []K {
	keys := slices.AppendSeq(make([]K, 0, len(n)), maps.Keys(n))
	slices.SortFunc(keys, compare)
	return keys
}

// A rowName names a row by its character and a name below it.
type rowName struct {
	char events.CharID
	name string
}

func compareRowNames(a, b rowName) int {
	return cmp.Or(cmp.Compare(a.char, b.char), cmp.Compare(a.name, b.name))
}
