package savers

import (
	"sync"
	"time"
)

// heartbeat gives signs of life for the batches in hand, so that a long outage of
// the database does not make the server hand them to others.
type heartbeat struct {
	every   time.Duration
	stopped chan struct{}
	mu      sync.Mutex
	batches map[*batch]struct{}
}

func newHeartbeat(every time.Duration) *heartbeat {
	return &heartbeat{every: every, stopped: make(chan struct{}), batches: map[*batch]struct{}{}}
}

func (h *heartbeat) add(b *batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.batches[b] = struct{}{}
}

func (h *heartbeat) drop(b *batch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.batches, b)
}

// stop ends run. It is called once.
func (h *heartbeat) stop() { close(h.stopped) }

// run ticks until stop is called.
func (h *heartbeat) run() {
	ticker := time.NewTicker(h.every)
	defer ticker.Stop()
	for {
		select {
		case <-h.stopped:
			return
		case <-ticker.C:
			h.beat()
		}
	}
}

func (h *heartbeat) beat() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for b := range h.batches {
		b.inProgress()
	}
}
