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
	while  time.Time          // until when it is handed out
}

// within returns a context that ends when ctx does or when the timeout is over, up to a
// sixteenth of it late, and has the values of ctx. The caller calls cancel when done with
// it.
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
	if ctx == context.Background() { // has no values
		return last.ctx, func() {}
	}
	return valued{last.ctx, ctx}, func() {}
}

// uncancelled returns ctx without its end.
func uncancelled(ctx context.Context) context.Context {
	if ctx.Done() == nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// valued is a context that has the values of another one.
type valued struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (v valued) Value(key any) any { return v.values.Value(key) }
