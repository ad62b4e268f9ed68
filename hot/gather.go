package hot

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
)

// A gatherer sends a command at once while few are on their way. While many are,
// those that come gather, and go as one pipeline when one is back: Redis then
// reads, logs and answers many at once, and so does the gateway. Nobody waits for
// more to come.
//
// The client has something alike (AutoPipeline), which is experimental, and may
// send a command again. A commit must not be.
type gatherer struct {
	rdb *redis.Client

	mu      sync.Mutex
	waiting []*gathered
	sending int // commands and pipelines under way
	sender  sync.WaitGroup
}

const (
	// mostSending is how many commands and pipelines may be under way: enough that a
	// gateway that has processors to spare need not gather.
	mostSending = 16
	// mostGathered bounds a pipeline: no answer is there before the last one is.
	mostGathered = 128
)

// gathered is a command that waits to be sent, or for its answer.
type gathered struct {
	ctx      context.Context // of the caller
	cmd      *redis.Cmd
	answered chan struct{}
}

// process sends cmd, once, and returns when it is answered. Where ctx is done
// before, its error is returned; cmd may then be executed or not, and must not
// be looked at.
func (g *gatherer) process(ctx context.Context, cmd *redis.Cmd) error {
	g.mu.Lock()
	if g.sending < mostSending {
		g.sending++
		g.mu.Unlock()
		err := g.rdb.Process(ctx, cmd)
		g.goOn()
		return err
	}
	own := &gathered{ctx, cmd, make(chan struct{})}
	g.waiting = append(g.waiting, own)
	g.mu.Unlock()
	select {
	case <-own.answered:
		return cmd.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// goOn lets those go that have gathered while one command was under way. Its
// caller need not wait for them.
func (g *gatherer) goOn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) > 0 {
		g.sender.Go(g.send)
		return
	}
	g.sending--
}

// send sends one pipeline after the other until nothing waits.
func (g *gatherer) send() {
	for {
		g.mu.Lock()
		n := min(len(g.waiting), mostGathered)
		if n == 0 {
			g.waiting = nil
			g.sending--
			g.mu.Unlock()
			return
		}
		batch := g.waiting[:n:n]
		g.waiting = g.waiting[n:]
		g.mu.Unlock()
		g.exec(batch)
		for _, one := range batch {
			close(one.answered)
		}
	}
}

// exec leaves in each command its answer or its error. A caller that has left
// does not end what others wait for: that is bounded by the client's timeouts.
func (g *gatherer) exec(batch []*gathered) {
	ctx := context.Background()
	// Each command has the error, too.
	_, _ = g.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, one := range batch {
			if err := one.ctx.Err(); err != nil {
				one.cmd.SetErr(err)
				continue
			}
			_ = p.Process(ctx, one.cmd)
		}
		return nil
	})
}
