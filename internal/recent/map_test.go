package recent_test

import (
	"math/rand/v2"
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

// Values of any weight, remembered, taken and forgotten in any order.
func TestWeighedMapHoldsNoMoreThanItMay(t *testing.T) {
	const most = 100
	m := recent.NewWeighed[int](most, func(weight int) int { return weight })
	chance := rand.New(rand.NewPCG(1, 2))
	held := func() (weight int) {
		for key := range 50 {
			v, _ := m.Get(key)
			weight += v
		}
		return weight
	}
	for range 10_000 {
		key, weight := chance.IntN(50), 1+chance.IntN(most+10)
		switch chance.IntN(4) {
		case 0:
			m.Take(key)
		case 1:
			m.Forget(key)
		default:
			m.Put(key, weight)
			if v, ok := m.Get(key); ok != (weight <= most) || ok && v != weight {
				t.Fatalf("a value of %d is remembered as %d (%v)", weight, v, ok)
			}
		}
		if got := held(); got > most {
			t.Fatalf("values of %d are remembered, want at most %d", got, most)
		}
	}
	for key := range 50 {
		m.Forget(key)
	}
	for key := range most {
		m.Put(key, 1)
	}
	for key := range most {
		if _, ok := m.Get(key); !ok {
			t.Fatalf("%d is not remembered, and there is room", key)
		}
	}
}
