package intake

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// members lists a set one by one.
func members(s *bitmap) func(yield func(uint64) bool) {
	return func(yield func(uint64) bool) {
		for i, word := range s.words {
			for bit := range uint64(wordBits) {
				if word>>bit&1 == 1 && !yield(s.from+uint64(i)*wordBits+bit) {
					return
				}
			}
		}
	}
}

// Runs of sequences, and what is before what is there already.
func TestBitmapTakesRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s bitmap
		want := make(map[uint64]bool)
		for range rapid.IntRange(1, 10).Draw(t, "runs") {
			first := rapid.Uint64Range(1, 1000).Draw(t, "first")
			last := first + rapid.Uint64Range(0, 200).Draw(t, "more")
			if err := s.add(first, last); err != nil {
				t.Fatal(err)
			}
			for seq := first; seq <= last; seq++ {
				want[seq] = true
			}
		}
		got := maps.Collect(func(yield func(uint64, bool) bool) {
			for seq := range members(&s) {
				if !yield(seq, true) {
					return
				}
			}
		})
		if !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// Mad numbers take no memory.
func TestSequencesFarApartAreRefused(t *testing.T) {
	var s bitmap
	if err := s.add(1_000_000_000, 1_000_000_000); err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 1 << 60} {
		if s.add(seq, seq) == nil {
			t.Errorf("%d was taken in beside a billion", seq)
		}
	}
	if s.add(1_000_000_005, 1_000_000_001) == nil {
		t.Error("a run that ends before it begins was taken in")
	}
}
