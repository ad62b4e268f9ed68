package rig

import (
	"context"
	"io"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// natsServer is the product's NATS server as a process of its own.
type natsServer struct {
	addr string
	proc *stack.Process
}

// startNATS starts a server with its storage in dir, from the program savepoint,
// and returns when JetStream answers.
func startNATS(ctx context.Context, bin, dir string, log io.Writer) (*natsServer, error) {
	addrs, err := stack.FreeAddrs(1)
	if err != nil {
		return nil, err
	}
	proc, err := stack.StartNATSProcess(ctx, stack.NATSProcessConfig{Bin: bin, Dir: dir, Addr: addrs[0], Log: log})
	if err != nil {
		return nil, err
	}
	return &natsServer{addr: addrs[0], proc: proc}, nil
}

// URL is the address for clients on this machine.
func (n *natsServer) URL() string { return "nats://" + n.addr }

func (n *natsServer) stop(ctx context.Context) error { return n.proc.Stop(ctx) }
