// Package recent remembers what was seen lately, so that it need not be asked for
// again. What it remembers may be outdated: who uses it must find that out.
package recent

import "sync"

// A Map remembers up to a number of values. Where it is full, a new value takes
// the place of an arbitrary one: to forget costs a question, nothing else. It is
// safe for concurrent use.
type Map[K comparable, V any] struct {
	mu     sync.Mutex
	values map[K]V
	most   int
}

// NewMap returns an empty Map of at most so many values.
func NewMap[K comparable, V any](most int) *Map[K, V] {
	return &Map[K, V]{values: make(map[K]V), most: most}
}

// Get returns what is remembered of key.
func (m *Map[K, V]) Get(key K) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok = m.values[key]
	return value, ok
}

// Take is Get, and forgets: nobody else gets the value until it is put back.
func (m *Map[K, V]) Take(key K) (value V, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok = m.values[key]
	delete(m.values, key)
	return value, ok
}

// Put remembers value.
func (m *Map[K, V]) Put(key K, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.values[key]; !known && len(m.values) >= m.most {
		for other := range m.values {
			delete(m.values, other)
			break
		}
	}
	m.values[key] = value
}

// Forget drops what is remembered of key.
func (m *Map[K, V]) Forget(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.values, key)
}
