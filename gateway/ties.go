package gateway

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// ties remember the trades carried by the events that were on their way when Redis lost
// its memory. Whoever is joined after that loss learns of its trades, whichever side's
// events carry them: else one side would have a trade that the other lacks.
//
// A cluster has a beginning for each of its slots, so a reading serves all slots whose
// fence was over when it started. Trades that a character does not need are harmless.
type ties struct {
	ctx     context.Context // ended by stop
	stop    context.CancelFunc
	running sync.WaitGroup

	mu     sync.Mutex // guards the rest
	newest time.Time  // of all beginnings that were asked for
	last   *reading   // under way or done; nil before the first
}

func newTies() *ties {
	t := new(ties)
	t.ctx, t.stop = context.WithCancel(context.Background())
	return t
}

// close ends the reading that is under way.
func (t *ties) close() {
	t.stop()
	t.running.Wait()
}

const (
	// tiesAge is how long a reading is remembered: trades that are saved meanwhile only
	// cost memory.
	tiesAge = time.Minute
	// tiesTimeout bounds the reading: half a million events took 2 s.
	tiesTimeout = time.Minute
	// tiesMargin is more than the clocks of a gateway and of NATS differ.
	tiesMargin = time.Minute
	// tiesReach is how much later than the newest known beginning another may be that a
	// reading still serves: the slots of a server that was started again are noted one
	// after the other. It may cost reading that much more of the stream.
	tiesReach = time.Minute
)

// errTies is returned while the trades are being read.
var errTies = errors.New("the trades on their way are being read, as Redis has lost its memory; repeat the request")

// A reading is one pass over those events.
type reading struct {
	startedAt time.Time     // by our own clock
	upTo      time.Time     // the latest beginning that it is good for
	done      chan struct{} // closed when the rest is there

	ended  time.Time
	trades *game.Ties
	err    error
}

// serves reports whether the reading has all that was on its way at a beginning: what
// was committed before, the stream has stored by the end of the fence.
func (r *reading) serves(beginning time.Time, fence time.Duration) bool {
	return !r.startedAt.Before(beginning.Add(fence)) && !beginning.After(r.upTo)
}

func (r *reading) isUnderWay() bool {
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// tiesOf returns what the trades on their way know of a character whose copy Redis has
// kept since beginning.
func (s *Service) tiesOf(ctx context.Context, char events.CharID, beginning time.Time) (*game.State, error) {
	for {
		r := s.readTies(beginning)
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil, events.Unavailable(events.NATS, errTies)
		}
		switch {
		case r.err != nil:
			return nil, r.err
		case r.serves(beginning, s.Fence):
			return r.trades.State(char), nil
		}
	}
}

// readTies returns the reading that is under way, else the last one if it serves, else a
// new one: there is one at a time, for all who wait.
func (s *Service) readTies(beginning time.Time) *reading {
	t := s.ties
	t.mu.Lock()
	defer t.mu.Unlock()
	if beginning.After(t.newest) {
		t.newest = beginning
	}
	if r := t.last; r != nil && (r.isUnderWay() || r.err == nil && r.serves(beginning, s.Fence) && time.Since(r.ended) < tiesAge) {
		return r
	}
	t.last = &reading{startedAt: time.Now(), upTo: t.newest.Add(tiesReach), done: make(chan struct{})}
	r := t.last
	t.running.Go(func() { s.finish(r) })
	return r
}

// finish carries out a reading, even if nobody waits for it any more.
func (s *Service) finish(r *reading) {
	ctx, cancel := context.WithTimeout(s.ties.ctx, tiesTimeout)
	defer cancel()
	r.trades, r.err = s.Stream.Ties(ctx, r.upTo.Add(s.Fence+tiesMargin))
	r.ended = time.Now()
	close(r.done)
}
