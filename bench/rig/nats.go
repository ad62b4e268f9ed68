package rig

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// natsServers are the product's NATS server as a process of its own, or several as a
// cluster.
type natsServers struct {
	url   string
	procs []*stack.Process
}

// startNATS starts servers with their storage in dir, from the program savepoint,
// and returns when JetStream answers.
func startNATS(ctx context.Context, n int, bin, dir string, log io.Writer) (*natsServers, error) {
	configs, err := stack.NATSProcesses(n, bin, dir, log)
	if err != nil {
		return nil, err
	}
	all := &natsServers{url: stack.NATSURL(configs), procs: make([]*stack.Process, n)}
	var group errgroup.Group
	for i, cfg := range configs {
		group.Go(func() (err error) {
			all.procs[i], err = stack.StartNATSProcess(ctx, cfg)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, all.stop(ctx))
	}
	return all, nil
}

func (all *natsServers) pids() (pids []int) {
	for _, p := range all.procs {
		pids = append(pids, p.Pid())
	}
	return pids
}

func (all *natsServers) stop(ctx context.Context) error {
	var errs []error
	for _, p := range all.procs {
		if p != nil {
			errs = append(errs, p.Stop(ctx))
		}
	}
	return errors.Join(errs...)
}
