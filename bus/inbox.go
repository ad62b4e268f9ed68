package bus

import (
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// An inbox is a subject of a connection's own, on which answers come in that are told
// apart by number. What stands for an answer that never comes is forgotten after
// patience, or twice that, without a timer for each.
type inbox[T any] struct {
	prefix   string // of the subjects
	patience time.Duration

	mu   sync.Mutex
	last uint64 // the newest number
	// What the numbers stand for: those of since turned, and those of before.
	young, old map[uint64]T
	turned     time.Time
}

// listen subscribes to what comes below prefix.
func (i *inbox[T]) listen(nc *nats.Conn, prefix string, patience time.Duration, come func(T, *nats.Msg)) error {
	i.prefix, i.patience = prefix+".", patience
	i.young, i.old = make(map[uint64]T), make(map[uint64]T)
	_, err := nc.Subscribe(i.prefix+"*", func(msg *nats.Msg) {
		n, err := strconv.ParseUint(msg.Subject[len(i.prefix):], 10, 64)
		if err != nil {
			return
		}
		if what, ok := i.take(n); ok {
			come(what, msg)
		}
	})
	return err
}

// put keeps what a new number stands for.
func (i *inbox[T]) put(what T) (n uint64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.last++
	i.young[i.last] = what
	return i.last
}

// subject is where the answer of number n comes.
func (i *inbox[T]) subject(n uint64) string { return i.prefix + strconv.FormatUint(n, 10) }

// take returns what n stands for, once.
func (i *inbox[T]) take(n uint64) (what T, ok bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, generation := range []map[uint64]T{i.young, i.old} {
		if what, ok = generation[n]; ok {
			delete(generation, n)
			return what, true
		}
	}
	return what, false
}

// expire returns what has gone without an answer for too long, and forgets it.
func (i *inbox[T]) expire(now time.Time) (late []T) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now.Sub(i.turned) <= i.patience {
		return nil
	}
	for _, what := range i.old {
		late = append(late, what)
	}
	clear(i.old)
	i.young, i.old, i.turned = i.old, i.young, now
	return late
}
