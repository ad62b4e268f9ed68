package savers

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// aside are the characters that hold up others: one whose row is locked, or lies on a
// block that cannot be read, would hold up every transaction that it is in. They are
// saved in a lane of their own until they get through.
type aside struct {
	some atomic.Bool // whether chars has any; read for each event, without mu
	mu   sync.Mutex
	// chars holds how long the next transaction of each character alone may take.
	chars map[events.CharID]time.Duration
}

// firstAlone is how long the transaction of one character alone may take while others
// wait: longer than nearly any takes, and short enough that many locked rows are soon
// found. Each time that a character is stuck its next transaction may take twice as long,
// up to SaveTimeout.
const firstAlone = leastTimeout / 10

func (a *aside) has(char events.CharID) bool {
	if !a.some.Load() {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.chars[char]
	return ok
}

// alone is how long a transaction of this character alone may take.
func (a *aside) alone(char events.CharID) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return max(a.chars[char], firstAlone)
}

// add sets a character aside; its next transaction alone may take so long.
func (a *aside) add(char events.CharID, alone time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.chars == nil {
		a.chars = make(map[events.CharID]time.Duration)
	}
	a.chars[char] = alone
	a.some.Store(true)
}

// drop forgets the characters of a batch: they have got through.
func (a *aside) drop(saved []events.StateChanged) {
	if !a.some.Load() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range saved {
		delete(a.chars, saved[i].CharID)
	}
	a.some.Store(len(a.chars) > 0)
}
