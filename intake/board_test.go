package intake

import (
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// Whatever savers tell, in whatever order and however often: the board is at the first
// message that nobody has saved, and the consumer may be moved to the last end of a
// batch before it.
func TestBoardIsAtTheFirstUnsavedMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const begun = 1000
		messages := rapid.IntRange(1, 300).Draw(t, "messages")
		holders := rapid.SliceOfN(rapid.IntRange(0, 2), messages, messages).Draw(t, "holders")
		b := newBoard(begun)
		saved := make(map[uint64]bool)
		var reports []*report
		for range rapid.IntRange(1, 12).Draw(t, "reports") {
			// What one holder has saved of some of its messages.
			holder := rapid.IntRange(0, 2).Draw(t, "holder")
			first := rapid.IntRange(1, messages).Draw(t, "first")
			last := rapid.IntRange(first, messages).Draw(t, "last")
			one := &report{saver: "s", ends: map[uint64]uint64{}}
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
			reports = append(reports, one)
		}
		ends := make(map[uint64]uint64)
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(reports)-1), 0, 30).Draw(t, "order") {
			body, err := reports[i].encode()
			if err != nil {
				t.Fatal(err)
			}
			heard, err := decodeReport(body)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.note(heard); err != nil {
				t.Fatal(err)
			}
			for seq := range members(&reports[i].saved) {
				saved[seq] = true
			}
			maps.Copy(ends, reports[i].ends)

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
