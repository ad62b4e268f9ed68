package savers

import (
	"sync"
	"sync/atomic"

	"github.com/savepoint-games/savepoint/events"
)

// aside are the characters that hold up others: one whose row somebody has locked, or on
// a block that cannot be read, would hold up every transaction that it is in. They are
// saved in a lane of their own until they get through. A nil one has nobody.
type aside struct {
	some  atomic.Bool // whether there are any: it is asked for each event
	mu    sync.Mutex
	chars map[events.CharID]struct{}
}

func (a *aside) has(char events.CharID) bool {
	if a == nil || !a.some.Load() {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.chars[char]
	return ok
}

func (a *aside) add(char events.CharID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.chars == nil {
		a.chars = make(map[events.CharID]struct{})
	}
	a.chars[char] = struct{}{}
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
