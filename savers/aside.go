package savers

import (
	"context"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// aside are the characters that hold up others: one whose row somebody has locked, or on
// a block that cannot be read, would hold up every transaction that it is in. They are
// saved in a lane of their own until they get through. A nil one has nobody.
type aside struct {
	some atomic.Bool // whether there are any: it is asked for each event
	mu   sync.Mutex
	// chars has how long the next transaction of a character alone may take.
	chars map[events.CharID]time.Duration
}

// firstAlone is how long a transaction of one character may take that others are waiting
// for: longer than nearly any does, and so short that many locked rows are soon found.
// Each time that it is stuck the next may take twice as long, up to SaveTimeout.
const firstAlone = leastTimeout / 10

func (a *aside) has(char events.CharID) bool {
	if a == nil || !a.some.Load() {
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

// add sets a character aside, of which the next transaction alone may take so long.
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

// setAside lets the events of one character wait, and those of it that come meanwhile be
// saved where they hold up nobody.
func (w *Worker) setAside(b *batch, cause error) {
	char := b.events[0].CharID
	w.Log.Warn("character set aside: its events do not get through, and are tried again", "char_id", char, "events", len(b.events), "err", cause)
	w.aside.add(char, min(2*w.aside.alone(char), w.SaveTimeout))
	b.giveBackLater()
}

// saveOneByOne saves each character of b alone, first those that have been stuck least.
// When those that are stuck have taken so long together, the others are set aside untried:
// however many are stuck, a batch is over soon.
func (w *Worker) saveOneByOne(ctx context.Context, stopping <-chan struct{}, b *batch, most time.Duration, saved chan<- *batch) error {
	var taken time.Duration
	parts := w.byCharacter(b)
	for i, part := range parts {
		if taken >= most {
			w.Log.Warn("characters set aside: they came with many that do not get through", "characters", len(parts)-i)
			for _, rest := range parts[i:] {
				w.aside.add(rest.events[0].CharID, w.aside.alone(rest.events[0].CharID))
				rest.giveBackLater()
			}
			return nil
		}
		char := part.events[0].CharID
		timeout := w.aside.alone(char)
		if err := w.save(ctx, stopping, part, timeout, timeout, saved); err != nil {
			return err
		}
		if w.aside.has(char) {
			taken += timeout
		}
	}
	return nil
}

// byCharacter is a batch for each character of b: first those that have been stuck least,
// and in any order those that have been as often, so that each has its turn.
func (w *Worker) byCharacter(b *batch) (parts []*batch) {
	b = &batch{events: slices.Clone(b.events), msgs: slices.Clone(b.msgs)}
	sort.Sort(byCharacter{b})
	for from, i := 0, 1; i <= len(b.events); i++ {
		if i == len(b.events) || b.events[i].CharID != b.events[from].CharID {
			parts = append(parts, &batch{events: b.events[from:i], msgs: b.msgs[from:i]})
			from = i
		}
	}
	rand.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	slices.SortStableFunc(parts, func(x, y *batch) int {
		return int(w.aside.alone(x.events[0].CharID) - w.aside.alone(y.events[0].CharID))
	})
	return parts
}

// withoutAside gives back those of b that have been set aside since it began to wait.
func (w *Worker) withoutAside(b *batch) *batch {
	if !w.aside.some.Load() {
		return b
	}
	others, back := new(batch), new(batch)
	for i := range b.events {
		part := others
		if w.aside.has(b.events[i].CharID) {
			part = back
		}
		part.add(&b.events[i], b.msgs[i], 0)
	}
	back.giveBackLater()
	return others
}
