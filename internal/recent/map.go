// Package recent remembers what was seen lately, so that it need not be asked for again.
// What it remembers may be outdated: its users must find that out.
package recent

import "sync"

// A Map remembers values up to a weight. Where it is full, a new value takes the place of
// arbitrary ones: a value that is forgotten has to be asked for again, nothing else. It
// is safe for concurrent use.
type Map[K comparable, V any] struct {
	mu           sync.Mutex
	values       map[K]weighed[V]
	weight, most int
	weigh        func(V) int
}

// weighed is a value with its weight when it was put.
type weighed[V any] struct {
	value  V
	weight int
}

// NewMap returns an empty Map of at most so many values.
func NewMap[K comparable, V any](most int) *Map[K, V] {
	return NewWeighed[K](most, func(V) int { return 1 })
}

// NewWeighed returns an empty Map of values that weigh no more than most together. A
// value that weighs more by itself is not remembered. Values are weighed by Put only.
func NewWeighed[K comparable, V any](most int, weigh func(V) int) *Map[K, V] {
	return &Map[K, V]{values: make(map[K]weighed[V]), most: most, weigh: weigh}
}

// Get returns what is remembered of key.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	held, ok := m.values[key]
	return held.value, ok
}

// Take returns what is remembered of key and forgets it: nobody else gets the value until
// it is put back.
func (m *Map[K, V]) Take(key K) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	held, ok := m.values[key]
	m.drop(key)
	return held.value, ok
}

// Put remembers value.
func (m *Map[K, V]) Put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
	weight := m.weigh(value)
	if weight > m.most {
		return
	}
	for m.weight+weight > m.most {
		for other := range m.values {
			m.drop(other)
			break
		}
	}
	m.values[key] = weighed[V]{value, weight}
	m.weight += weight
}

func (m *Map[K, V]) drop(key K) {
	m.weight -= m.values[key].weight
	delete(m.values, key)
}

// Forget drops what is remembered of key.
func (m *Map[K, V]) Forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
}
