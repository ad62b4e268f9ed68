package intake

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Consumer is where the source's messages come from.
func (s *Source) Consumer() jetstream.Consumer { return s.consumer }

// Deaf makes a source read from where nothing comes: its consumer gets no request
// from it.
func (s *Source) Deaf(empty jetstream.Consumer) error {
	s.behind = true
	var err error
	s.reading, err = s.in.read(empty, 10)
	return err
}

// DeafToReader does so while it catches up. What was on its way to it comes before.
func (s *Source) DeafToReader(empty jetstream.Consumer) (err error) {
	s.catchUp.drain()
	s.catchUp.reading, err = s.in.read(empty, 10)
	s.catchUp.drained = false
	return err
}

// UsedUp tells of a reading that the server knows nothing of any more.
var UsedUp = usedUp

// SetSettleEvery changes how long what a catch-up has saved may stay unsettled.
func (in *Intake) SetSettleEvery(d time.Duration) { in.settleEvery = d }

// SetSilentAfter changes for how long nothing is heard of a saver before it is taken
// for gone.
func (in *Intake) SetSilentAfter(d time.Duration) { in.silentAfter = d }

// CatchesUp reports whether the source reads a backlog without acks, and has handed
// out all that it had read before.
func (s *Source) CatchesUp() bool { return s.catchUp != nil && len(s.prefetched) == 0 }

// Pause is how long no catch-up begins after the last.
func (s *Source) Pause() time.Duration { return s.retry.pause }

// ReadsAhead reports whether the source will read a backlog without acks, and has yet
// to hand out what it has read before.
func (s *Source) ReadsAhead() bool { return len(s.prefetched) > 0 }

// Ahead is what the source has read before a catch-up, and not handed out.
func (s *Source) Ahead() []jetstream.Msg { return s.prefetched }

// Lose loses the next message of a backlog on its way.
func (s *Source) Lose() {
	msg := <-s.catchUp.reading.msgs
	s.catchUp.reading.taken(msg.bytes)
}

// A Reading is one that nobody but its caller brings messages to.
type Reading struct{ *reading }

// NewReading returns one.
func NewReading() Reading { return Reading{newReading()} }

// Handle brings a message.
func (r Reading) Handle(msg jetstream.Msg) { r.handle(msg) }

// Fetch waits for a message and returns what lies ready.
func (r Reading) Fetch(limit int) []jetstream.Msg { return r.more(<-r.msgs, limit) }

// Leave says that nobody fetches any more.
func (r Reading) Leave() { r.leave() }

// Reader names what a catch-up reads from, "" without one.
func (s *Source) Reader() string {
	if !s.CatchesUp() {
		return ""
	}
	return s.catchUp.reader.CachedInfo().Name
}

// Helps reports whether the source helps another one to catch up.
func (s *Source) Helps() bool { return s.catchUp != nil && s.catchUp.help != nil }

// IsFull reports whether as many messages of a backlog lie ready as may.
func (s *Source) IsFull() bool { return len(s.catchUp.reading.msgs) == mostReady }

// HeardEnough reports whether a source that catches up knows that another one has read
// the last of the backlog.
func (s *Source) HeardEnough() bool {
	select {
	case <-s.catchUp.enough:
		return true
	default:
		return false
	}
}
