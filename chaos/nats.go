package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// natsServer is NATS as a process of its own, so that killing it takes what it
// had not written. Where it is does not change while it comes and goes.
type natsServer struct {
	cfg stack.NATSProcessConfig

	mu   sync.Mutex // guards proc
	proc *stack.Process
}

// natsServers are one server, or the servers of a cluster.
type natsServers []*natsServer

// startNATS starts so many servers with their storage below dir, from the program
// savepoint, and the ways between them.
func startNATS(ctx context.Context, bin, dir string, n int, log io.Writer) (all natsServers, ways routes, err error) {
	configs, err := stack.NATSProcesses(n, bin, dir, log)
	if err == nil {
		ways, err = openRoutes(configs)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, cfg := range configs {
		all = append(all, &natsServer{cfg: cfg})
	}
	return all, ways, all.each((*natsServer).start)(ctx)
}

// each does something with all servers side by side: of a cluster, most have to be
// there for one to answer.
func (all natsServers) each(do func(*natsServer, context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		var group errgroup.Group
		for _, n := range all {
			group.Go(func() error { return do(n, ctx) })
		}
		return group.Wait()
	}
}

// any1 is one of them. A single server takes no turn of x: what a seed leads to is as
// it was before there were clusters.
func (all natsServers) any1(x *rand.Rand) *natsServer {
	if len(all) == 1 {
		return all[0]
	}
	return any1(x, all)
}

// URL is the address for clients on this machine, a comma list for a cluster.
func (all natsServers) URL() string {
	configs := make([]stack.NATSProcessConfig, len(all))
	for i, n := range all {
		configs[i] = n.cfg
	}
	return stack.NATSURL(configs)
}

// jetStream connects to the servers, until leave is called.
func (all natsServers) jetStream() (js jetstream.JetStream, leave func(), err error) {
	nc, err := nats.Connect(all.URL())
	if err != nil {
		return nil, nil, err
	}
	js, err = jetstream.New(nc)
	return js, nc.Close, err
}

// awaitReplicas waits for the stream of changes, which the programs make. It is an error
// where not each server has a replica.
func (all natsServers) awaitReplicas(ctx context.Context) error {
	js, leave, err := all.jetStream()
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		asking, cancel := context.WithTimeout(ctx, time.Second)
		stream, err := js.Stream(asking, streamChanges)
		cancel()
		switch {
		case err == nil && stream.CachedInfo().Config.Replicas != len(all):
			return fmt.Errorf("stream %s has %d replicas on %d servers", streamChanges, stream.CachedInfo().Config.Replicas, len(all))
		case err == nil, ctx.Err() != nil:
			return err
		}
		pause(ctx, 50*time.Millisecond)
	}
}

// start starts the server again with what its directory holds, and returns when
// JetStream answers.
func (n *natsServer) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	proc, err := stack.StartNATSProcess(ctx, n.cfg)
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

func (n *natsServer) stop(ctx context.Context) error {
	if p := n.process(); p != nil {
		return p.Stop(ctx)
	}
	return nil // it was never started
}

func (n *natsServer) signal(s syscall.Signal) error { return n.process().Signal(s) }

func (n *natsServer) kill(context.Context) error { return n.process().Kill() }

// storage is where the server keeps its streams.
func (n *natsServer) storage() string { return filepath.Join(n.cfg.Dir, "jetstream") }

func natsRestart(ctx context.Context, r *rig, x *rand.Rand) error {
	n := r.nats.any1(x)
	return natsAway(ctx, x, n.stop, nil, n.start)
}

func natsKill(ctx context.Context, r *rig, x *rand.Rand) error {
	n := r.nats.any1(x)
	return natsAway(ctx, x, n.kill, nil, n.start)
}

// natsEmpty takes everything that NATS had stored, the dead letters too. Around
// it, all that was answered gets saved: what Redis loses soon before or after
// would have nobody left to know it.
func natsEmpty(ctx context.Context, r *rig, x *rand.Rand) error {
	if err := r.awaitSaved(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	r.streamLost.Store(true)
	forget := func() error {
		r.unsure.Add(r.poisoned.Swap(0))
		var errs []error
		for _, n := range r.nats {
			errs = append(errs, os.RemoveAll(n.storage()))
		}
		return errors.Join(errs...)
	}
	if err := natsAway(ctx, x, r.nats.each((*natsServer).stop), forget, r.nats.each((*natsServer).start)); err != nil {
		return err
	}
	return r.awaitSaved(ctx)
}

// natsAway ends servers, has something done to their storage, and starts them again
// after a while.
func natsAway(ctx context.Context, x *rand.Rand, end func(context.Context) error, meanwhile func() error, start func(context.Context) error) error {
	mending := context.WithoutCancel(ctx)
	stopping, cancel := context.WithTimeout(mending, stopTimeout)
	defer cancel()
	if err := end(stopping); err != nil {
		return fmt.Errorf("stop: %w", err)
	}
	if meanwhile != nil {
		if err := meanwhile(); err != nil {
			return err
		}
	}
	away(ctx, x)
	return start(mending)
}
