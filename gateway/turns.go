package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// turns let the actions of a character that depend on its state go through this gateway
// one after the other. Correctness does not rest on them: the commit finds out who
// decided on outdated state. But of many actions at once all but one would have to start
// over, each time, and a character that many act on (a guild's chest, the receiver of
// everybody's trades) would be served the slower the more is asked of it.
type turns struct {
	// patience is how long an action waits for those before it. Then it goes ahead all
	// the same, so that an action that hangs keeps nobody out.
	patience time.Duration

	mu sync.Mutex
	of map[events.CharID]*turn
}

// turn is that of one character.
type turn struct {
	taken chan struct{} // has an element while somebody has it
	users int           // who has it or waits for it
}

func newTurns(patience time.Duration) *turns {
	return &turns{patience: patience, of: make(map[events.CharID]*turn)}
}

// take returns when it is the caller's turn, in the order of the calls, or when the
// caller has waited long enough. pass ends the turn.
func (t *turns) take(ctx context.Context, char events.CharID) (pass func()) {
	own := t.join(char)
	pass = func() {
		<-own.taken
		t.leave(char, own)
	}
	select {
	case own.taken <- struct{}{}:
		return pass
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, t.patience)
	defer cancel()
	select {
	case own.taken <- struct{}{}:
		return pass
	case <-ctx.Done(): // the turn is somebody else's
		return func() { t.leave(char, own) }
	}
}

func (t *turns) join(char events.CharID) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.of[char]
	if own == nil {
		own = &turn{taken: make(chan struct{}, 1)}
		t.of[char] = own
	}
	own.users++
	return own
}

func (t *turns) leave(char events.CharID, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(t.of, char)
	}
}
