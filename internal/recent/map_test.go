package recent_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/internal/recent"
)

func TestMapRemembersTheLastValueAndForgets(t *testing.T) {
	m := recent.NewMap[string, int](2)
	m.Put("a", 1)
	m.Put("a", 2)
	if v, ok := m.Get("a"); v != 2 || !ok {
		t.Errorf("got %d %v, want 2", v, ok)
	}
	m.Forget("a")
	if v, ok := m.Get("a"); ok {
		t.Errorf("got %d after Forget", v)
	}
}

func TestMapNeverHoldsMoreThanItMay(t *testing.T) {
	const most = 10
	m := recent.NewMap[int, int](most)
	for i := range 1000 {
		m.Put(i, i)
		if v, ok := m.Get(i); v != i || !ok {
			t.Fatalf("%d is not remembered", i)
		}
	}
	held := 0
	for i := range 1000 {
		if _, ok := m.Get(i); ok {
			held++
		}
	}
	if held != most {
		t.Errorf("%d are remembered, want %d", held, most)
	}
}
