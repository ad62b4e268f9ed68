package stacktest

import (
	"context"
	"strconv"
	"testing"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// NATS returns a server of the test's own, with JetStream and no streams. It
// runs inside the test binary and takes 20 ms.
func NATS(t testing.TB) *stack.NATS {
	t.Helper()
	return RestartNATS(t, stack.NATSConfig{StoreDir: newDir(t, "n")})
}

// NATSCluster returns a cluster of three servers of the test's own, with JetStream and
// no streams. They run inside the test binary, and need a moment until one leads.
func NATSCluster(t testing.TB) []*stack.NATS {
	t.Helper()
	addrs, err := stack.FreeAddrs(3)
	check(t, err)
	var servers []*stack.NATS
	for i, addr := range addrs {
		name := "n" + strconv.Itoa(i)
		servers = append(servers, RestartNATS(t, stack.NATSConfig{
			StoreDir: newDir(t, name+"-"), Peers: stack.NATSPeers{Name: name, Addr: addr, All: addrs},
		}))
	}
	return servers
}

// RestartNATS starts a stopped server again, given its Config.
func RestartNATS(t testing.TB, cfg stack.NATSConfig) *stack.NATS {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := stack.StartNATS(ctx, cfg)
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return server
}
