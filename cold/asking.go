package cold

import (
	"context"
	"time"

	"github.com/savepoint-games/savepoint/internal/gather"
)

const (
	// mostAsked is how many reads of a kind may be under way before others gather: at a
	// login rush, or when Redis has lost its memory, characters are read by the thousand.
	mostAsked = 2
	// mostTogether bounds how many are read at once.
	mostTogether = 64
	// togetherTimeout bounds a read for many. Each caller that waits has a deadline of
	// its own.
	togetherTimeout = 5 * time.Second
)

// asking reads one value for each caller. Keys that are asked for while reads are under
// way are read together. Callers that ask for the same key at the same time may share a
// value.
type asking[K comparable, V any] struct {
	read   func(ctx context.Context, keys []K) (map[K]V, error)
	gather gather.Gatherer[*asked[K, V]]
}

// asked is what somebody asks for, and what was found.
type asked[K comparable, V any] struct {
	key   K
	found V
	err   error
}

func newAsking[K comparable, V any](read func(ctx context.Context, keys []K) (map[K]V, error)) *asking[K, V] {
	a := &asking[K, V]{read: read}
	a.gather = gather.Gatherer[*asked[K, V]]{Under: mostAsked, Most: mostTogether, Together: a.together}
	return a
}

// one reads the value of a key, as it is at some moment after the call began; the zero
// value where there is none.
func (a *asking[K, V]) one(ctx context.Context, key K) (found V, err error) {
	own := &asked[K, V]{key: key}
	if err := a.gather.Do(ctx, own, func() { a.alone(ctx, own) }); err != nil {
		return found, unavailable(err)
	}
	return own.found, own.err
}

func (a *asking[K, V]) alone(ctx context.Context, own *asked[K, V]) {
	found, err := a.read(ctx, []K{own.key})
	own.found, own.err = found[own.key], err
}

// together reads the keys that have gathered, in a goroutine that ends with the read, at
// the latest when the pool is closed. If it fails each key is read alone: one that cannot
// be read must not be in the way of the others.
func (a *asking[K, V]) together(batch []gather.One[*asked[K, V]]) {
	ctx, cancel := context.WithTimeout(context.Background(), togetherTimeout)
	defer cancel()
	keys := make([]K, len(batch))
	for i, one := range batch {
		keys[i] = one.What.key
	}
	found, err := a.read(ctx, keys)
	for _, one := range batch {
		one.What.found, one.What.err = found[one.What.key], err
		if err != nil && ctx.Err() == nil {
			a.alone(one.Ctx, one.What)
		}
	}
}
