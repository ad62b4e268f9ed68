package main

import (
	"context"
	"fmt"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// natsCmd runs the NATS server of `run` as a process of its own, for fault runs
// that kill it.
type natsCmd struct {
	StoreDir string `name:"store-dir" required:"" help:"Where the server keeps its data."`
	Addr     string `required:"" help:"Where it listens."`

	Name          string   `help:"The server's own name in a cluster; none: it is alone."`
	PeerAddr      string   `help:"Where it listens for the others of the cluster."`
	Peers         []string `help:"Where it finds the others."`
	PeerAdvertise string   `help:"Where the others tell each other to find it; none: where it listens."`
}

// Run serves until ctx is done.
func (n *natsCmd) Run(ctx context.Context) error {
	host, port, err := splitAddr(n.Addr)
	if err != nil {
		return fmt.Errorf("addr: %w", err)
	}
	server, err := stack.StartNATS(ctx, stack.NATSConfig{
		StoreDir: n.StoreDir, Host: host, Port: port,
		Peers: stack.NATSPeers{Name: n.Name, Addr: n.PeerAddr, All: n.Peers, Advertise: n.PeerAdvertise},
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	return server.Stop(stopping)
}
