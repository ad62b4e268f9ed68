package gateway

import (
	"context"
	"sync/atomic"
	"time"
)

// deadlines are contexts that end after a timeout. Steps of actions that begin at
// nearly the same time share one: with a context and a timer for each they were a
// fifth of a gateway's garbage.
type deadlines struct {
	timeout time.Duration
	last    atomic.Pointer[deadline]
}

// deadline is a context that is handed out for a while.
type deadline struct {
	ctx    context.Context
	cancel context.CancelFunc // nobody calls it: it ends by itself
	while  time.Time
}

// within returns a context that ends with ctx, and after the timeout, or up to a
// sixteenth of that later. cancel is to be called when it is not needed any more. It
// has the values of ctx only where that can end.
func (d *deadlines) within(ctx context.Context) (_ context.Context, cancel context.CancelFunc) {
	if ctx.Done() != nil {
		return context.WithTimeout(ctx, d.timeout)
	}
	now := time.Now()
	last := d.last.Load()
	if last == nil || now.After(last.while) {
		last = &deadline{while: now.Add(d.timeout / 16)}
		last.ctx, last.cancel = context.WithDeadline(context.Background(), last.while.Add(d.timeout))
		d.last.Store(last)
	}
	return last.ctx, func() {}
}
