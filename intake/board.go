package intake

// A board is which messages of a reader are saved, by whichever of the savers that
// share it.
type board struct {
	next  uint64 // the first message that is not known to be saved
	saved uint64 // sequence in the stream: all before and at it is saved
	after bitmap
	ends  map[uint64]uint64 // where batches end, beyond next: in the consumer, and in the stream
}

func newBoard(begun uint64) *board {
	return &board{next: 1, saved: begun, ends: make(map[uint64]uint64)}
}

// note takes in what somebody has saved.
func (b *board) note(r *report) error {
	if err := b.after.take(&r.saved); err != nil {
		return err
	}
	for consumer, stream := range r.ends {
		b.ends[consumer] = stream
	}
	b.next = b.after.missing(b.next)
	for consumer, stream := range b.ends {
		if consumer < b.next {
			b.saved = max(b.saved, stream)
			delete(b.ends, consumer)
		}
	}
	return nil
}
