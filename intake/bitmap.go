package intake

import (
	"errors"
	"math/bits"
)

// A bitmap is a set of a reader's messages, by their sequence in the consumer.
type bitmap struct {
	from  uint64   // of the first bit; a multiple of 64
	words []uint64 // the lowest bit first
}

const wordBits = 64

// mostSpread bounds how far apart the sequences of a set are: 16 MiB of bits. What
// savers hold at a time is less than a thousandth of that, and what one of them may
// be ahead of another is what the slowest transaction takes.
const mostSpread = 1 << 27

// errSpread is the reason where sequences are too far apart to be in a set.
var errSpread = errors.New("sequences are too far apart")

// add takes in the sequences from first to last.
func (s *bitmap) add(first, last uint64) error {
	if last < first {
		return errSpread
	}
	if len(s.words) == 0 {
		s.from = first - first%wordBits
	}
	if first < s.from {
		more := (s.from - first + wordBits - 1) / wordBits
		if more > mostSpread/wordBits {
			return errSpread
		}
		s.words = append(make([]uint64, more, more+uint64(len(s.words))), s.words...)
		s.from -= more * wordBits
	}
	if last-s.from >= mostSpread {
		return errSpread
	}
	for need := (last-s.from)/wordBits + 1; uint64(len(s.words)) < need; {
		s.words = append(s.words, 0)
	}
	for seq := first; seq <= last; {
		word, bit := (seq-s.from)/wordBits, (seq-s.from)%wordBits
		n := min(wordBits-bit, last-seq+1)
		s.words[word] |= ^uint64(0) >> (wordBits - n) << bit
		seq += n
	}
	return nil
}

// take takes in another set.
func (s *bitmap) take(other *bitmap) error {
	for i, word := range other.words {
		if word == 0 {
			continue
		}
		// Its first and its last are added one by one, so that there is room.
		at := other.from + uint64(i)*wordBits
		first, last := at+uint64(bits.TrailingZeros64(word)), at+wordBits-1-uint64(bits.LeadingZeros64(word))
		if err := errors.Join(s.add(first, first), s.add(last, last)); err != nil {
			return err
		}
		s.words[(at-s.from)/wordBits] |= word
	}
	return nil
}

// missing returns the first sequence from next on that is not in the set, and forgets
// what is before.
func (s *bitmap) missing(next uint64) uint64 {
	for len(s.words) > 0 && next >= s.from {
		word := (next - s.from) / wordBits
		if word >= uint64(len(s.words)) {
			break
		}
		s.from, s.words = s.from+word*wordBits, s.words[word:]
		n := bits.TrailingZeros64(^(s.words[0] >> (next - s.from)))
		if next += uint64(n); next < s.from+wordBits {
			return next
		}
	}
	if len(s.words) > 0 && next >= s.from+uint64(len(s.words))*wordBits {
		s.words = nil
	}
	return next
}
