package chaos

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// natsServer is NATS as a process of its own, so that killing it takes what it
// had not written. Where it is does not change while it comes and goes.
type natsServer struct {
	bin, dir, addr string
	log            io.Writer

	mu   sync.Mutex // guards proc
	proc *stack.Process
}

// startNATS starts a server with its storage in dir, from the program savepoint.
func startNATS(ctx context.Context, bin, dir string, log io.Writer) (*natsServer, error) {
	addrs, err := stack.FreeAddrs(1)
	if err != nil {
		return nil, err
	}
	n := &natsServer{bin: bin, dir: dir, addr: addrs[0], log: log}
	if err := n.start(ctx); err != nil {
		return nil, err
	}
	return n, nil
}

// URL is the address for clients on this machine.
func (n *natsServer) URL() string { return "nats://" + n.addr }

// start starts the server again with what its directory holds, and returns when
// JetStream answers.
func (n *natsServer) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	proc, err := stack.StartNATSProcess(ctx, n.bin, n.dir, n.addr, n.log)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.proc = proc
	return nil
}

func (n *natsServer) process() *stack.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

func (n *natsServer) stop(ctx context.Context) error { return n.process().Stop(ctx) }

func natsRestart(ctx context.Context, r *rig, x *rand.Rand) error {
	return r.nats.away(ctx, x, (*natsServer).stop, nil)
}

func natsKill(ctx context.Context, r *rig, x *rand.Rand) error {
	return r.nats.away(ctx, x, (*natsServer).kill, nil)
}

func (n *natsServer) kill(context.Context) error { return n.process().Kill() }

// natsEmpty takes everything that NATS had stored, the dead letters too. Around
// it, all that was answered gets saved: what Redis loses soon before or after
// would have nobody left to know it.
func natsEmpty(ctx context.Context, r *rig, x *rand.Rand) error {
	if err := r.awaitSaved(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	r.streamLost.Store(true)
	err := r.nats.away(ctx, x, (*natsServer).stop, func() error {
		r.unsure.Add(r.poisoned.Swap(0))
		return os.RemoveAll(filepath.Join(r.nats.dir, "jetstream"))
	})
	if err != nil {
		return err
	}
	return r.awaitSaved(ctx)
}

// away ends the server, has something done to its storage, and starts it again
// after a while.
func (n *natsServer) away(ctx context.Context, x *rand.Rand, end func(*natsServer, context.Context) error, meanwhile func() error) error {
	mending := context.WithoutCancel(ctx)
	stopping, cancel := context.WithTimeout(mending, stopTimeout)
	defer cancel()
	if err := end(n, stopping); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return err
		}
	}
	away(ctx, x)
	return n.start(mending)
}
