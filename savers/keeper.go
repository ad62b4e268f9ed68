package savers

import (
	"sync"
	"time"
)

// keeper gives signs of life for the batches in hand, so that a long outage of
// the database does not make the server hand them to others.
type keeper struct {
	every   time.Duration
	stopped chan struct{}
	once    sync.Once
	mu      sync.Mutex
	batches map[*batch]struct{}
}

func newKeeper(every time.Duration) *keeper {
	return &keeper{every: every, stopped: make(chan struct{}), batches: map[*batch]struct{}{}}
}

func (k *keeper) add(b *batch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches[b] = struct{}{}
}

func (k *keeper) drop(b *batch) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.batches, b)
}

func (k *keeper) stop() { k.once.Do(func() { close(k.stopped) }) }

// run ticks until stop is called, which the end of the saving loop does.
func (k *keeper) run() error {
	ticker := time.NewTicker(k.every)
	defer ticker.Stop()
	for {
		select {
		case <-k.stopped:
			return nil
		case <-ticker.C:
			k.alive()
		}
	}
}

func (k *keeper) alive() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for b := range k.batches {
		b.alive()
	}
}
