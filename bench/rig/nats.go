package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

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
	n := &natsServer{addr: addrs[0]}
	n.proc, err = stack.StartProcess(ctx, stack.ProcessConfig{
		Name: "NATS", Path: filepath.Join(bin, "savepoint"), Stdout: log, Stderr: log,
		Args: []string{"nats", "--store-dir", dir, "--addr", n.addr},
	})
	if err != nil {
		return nil, err
	}
	for {
		err := n.answers(ctx)
		if err == nil {
			return n, nil
		}
		select {
		case <-n.proc.Done():
			return nil, fmt.Errorf("NATS ended: %w", errors.Join(n.proc.Err(), err))
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("NATS does not answer: %w", err), n.proc.Kill())
		default:
		}
		pause(ctx, pollEvery)
	}
}

// URL is the address for clients on this machine.
func (n *natsServer) URL() string { return "nats://" + n.addr }

func (n *natsServer) answers(ctx context.Context) error {
	nc, err := nats.Connect(n.URL())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	_, err = js.AccountInfo(ctx)
	return err
}

func (n *natsServer) stop(ctx context.Context) error { return n.proc.Stop(ctx) }
