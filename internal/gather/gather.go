// Package gather sends together what many callers ask of a server at the same time: that
// costs the server less to read, log and answer, and the callers less to ask.
package gather

import (
	"context"
	"sync"
)

// A Gatherer lets a caller ask by itself, at once, while few questions are under way.
// While many are, those that come gather, and go together when one is answered. Nobody
// waits for more to come. It is safe for concurrent use.
type Gatherer[T any] struct {
	// Under is how many may be under way, those that go together counted once.
	Under int
	// Most bounds how many go together: none is answered before the last one is.
	Most int
	// Together asks for a batch, and leaves in each its answer. A caller that has
	// left does not end what others wait for, so it needs a bound of its own.
	Together func(batch []One[T])

	mu      sync.Mutex
	waiting []*waiting[T]
	sending int
	sender  sync.WaitGroup
}

// One is a question that has waited. When Ctx is done its caller has left.
type One[T any] struct {
	Ctx  context.Context
	What T
}

type waiting[T any] struct {
	One[T]
	answered chan struct{}
}

// Do asks what: by calling alone, or together with others. If ctx is done before the
// answer, Do returns its error. Then what was asked for may or may not happen, and what
// must not be looked at.
func (g *Gatherer[T]) Do(ctx context.Context, what T, alone func()) error {
	g.mu.Lock()
	if g.sending < g.Under {
		g.sending++
		g.mu.Unlock()
		defer g.goOn()
		alone()
		return nil
	}
	own := &waiting[T]{One[T]{ctx, what}, make(chan struct{})}
	g.waiting = append(g.waiting, own)
	g.mu.Unlock()
	select {
	case <-own.answered:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Waiting is how many wait to be asked for.
func (g *Gatherer[T]) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.waiting)
}

// Wait returns when all who gathered are answered. It is for after the last Do.
func (g *Gatherer[T]) Wait() { g.sender.Wait() }

// goOn sends what has gathered while a question was under way. The caller of that one
// need not wait for it.
func (g *Gatherer[T]) goOn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) > 0 {
		g.sender.Go(g.send)
		return
	}
	g.sending--
}

// send asks for one batch after the other until nobody waits.
func (g *Gatherer[T]) send() {
	for {
		g.mu.Lock()
		n := min(len(g.waiting), g.Most)
		if n == 0 {
			g.waiting = nil
			g.sending--
			g.mu.Unlock()
			return
		}
		all := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		batch := make([]One[T], n)
		for i, one := range all {
			batch[i] = one.One
		}
		g.Together(batch)
		for _, one := range all {
			close(one.answered)
		}
	}
}
