package events

import "time"

// A Stored event is one as the stream of changes keeps it.
type Stored struct {
	StateChanged
	Sequence uint64
	StoredAt time.Time
	// Settled tells that the savers of its scope have acknowledged it: it is
	// saved, or among the dead letters.
	Settled bool
}

// A DeadLetter is an event that cannot be saved, as it is kept.
type DeadLetter struct {
	Sequence uint64 // among the dead letters
	Scope    Scope
	Char     CharID // 0 where it is not known
	Reason   string
	Subject  string    // where it was published
	Stored   time.Time // when the stream of changes stored it
	Original uint64    // its sequence there
	Body     []byte    // the original one
	Cut      int       // how many bytes it had where it is left out, else 0
}
