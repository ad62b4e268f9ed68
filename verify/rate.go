package verify

import (
	"context"
	"time"
)

// limiter keeps a rate, so that a comparison leaves the servers to the players.
type limiter struct {
	rate  int // a second; 0 for any
	began time.Time
	done  int
}

func newLimiter(rate int) *limiter { return &limiter{rate: rate, began: time.Now()} }

// wait returns when n more may have been done.
func (l *limiter) wait(ctx context.Context, n int) {
	if l.rate < 1 {
		return
	}
	l.done += n
	due := l.began.Add(time.Duration(float64(l.done) / float64(l.rate) * float64(time.Second)))
	select {
	case <-time.After(time.Until(due)):
	case <-ctx.Done():
	}
}
