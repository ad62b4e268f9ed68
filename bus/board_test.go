package bus

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// Whatever savers tell, in whatever order and however often: the board is at the first
// message that nobody has saved, and the consumer may be moved to the last end of a
// part before it.
func TestBoardIsAtTheFirstUnsavedMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const begun = 1000
		messages := rapid.IntRange(1, 300).Draw(t, "messages")
		holders := rapid.SliceOfN(rapid.IntRange(0, 2), messages, messages).Draw(t, "holders")
		b := newBoard(begun)
		saved := make(map[uint64]bool)
		var tells []*told
		for range rapid.IntRange(1, 12).Draw(t, "tells") {
			// What one holder has saved of some of its messages.
			holder := rapid.IntRange(0, 2).Draw(t, "holder")
			first := rapid.IntRange(1, messages).Draw(t, "first")
			last := rapid.IntRange(first, messages).Draw(t, "last")
			one := &told{saver: "s", ends: map[uint64]uint64{}}
			end := 0
			for seq := first; seq <= last; seq++ {
				if holders[seq-1] == holder {
					if err := one.saved.add(uint64(seq), uint64(seq)); err != nil {
						t.Fatal(err)
					}
					end = seq
				}
			}
			if end > 0 {
				one.ends[uint64(end)] = uint64(begun + 3*end)
			}
			tells = append(tells, one)
		}
		ends := make(map[uint64]uint64)
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(tells)-1), 0, 30).Draw(t, "order") {
			body, err := tells[i].encode()
			if err != nil {
				t.Fatal(err)
			}
			heard, err := decodeTold(body)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.note(heard); err != nil {
				t.Fatal(err)
			}
			for seq := range members(&tells[i].saved) {
				saved[seq] = true
			}
			maps.Copy(ends, tells[i].ends)

			next := uint64(1)
			for saved[next] {
				next++
			}
			settled := uint64(begun)
			for consumer, stream := range ends {
				if consumer < next {
					settled = max(settled, stream)
				}
			}
			if b.next != next || b.saved != settled {
				t.Fatalf("the board is at message %d, %d of the stream; want %d, %d", b.next, b.saved, next, settled)
			}
		}
	})
}

// members lists a set one by one.
func members(s *sequences) func(yield func(uint64) bool) {
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
func TestSequencesTakeRuns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s sequences
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
	var s sequences
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
