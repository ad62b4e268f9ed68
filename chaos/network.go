package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"
)

// network is one proxy for each pair of a kind of program and a server, by
// names as "gateway-redis". The checker and the tools do not go through it.
type network struct {
	pairs map[string]*Proxy
}

// the ends of each pair, and what the programs call the server's address.
var (
	netPrograms = []string{"gateway", "saver"}
	netServers  = []string{"redis", "nats", "postgres"}
	netURLs     = map[string]string{"redis": "REDIS_URL", "nats": "NATS_URL", "postgres": "DATABASE_URL"}
)

// startNetwork puts a clear proxy between each pair. direct is where the servers
// are, by name.
func startNetwork(direct map[string]string) (_ *network, err error) {
	n := &network{pairs: make(map[string]*Proxy)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	for _, server := range netServers {
		at, err := url.Parse(direct[server])
		if err != nil {
			return n, fmt.Errorf("url of %s: %w", server, err)
		}
		for _, program := range netPrograms {
			if n.pairs[program+"-"+server], err = StartProxy(at.Host); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// env is the servers' URLs for a program, as its environment.
func (n *network) env(program string, direct map[string]string) (env []string) {
	for _, server := range netServers {
		at, err := url.Parse(direct[server])
		if err != nil {
			continue // startNetwork has parsed it
		}
		at.Host = n.pairs[program+"-"+server].Addr()
		env = append(env, netURLs[server]+"="+at.String())
	}
	return env
}

// retarget tells the network that a server is at another address now.
func (n *network) retarget(server, addr string) {
	for _, program := range netPrograms {
		n.pairs[program+"-"+server].Retarget(addr)
	}
}

func (n *network) close() error {
	var errs []error
	for _, p := range n.pairs {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// any1 picks a pair.
func (n *network) any1(x *rand.Rand) *Proxy {
	programs, servers := any1(x, netPrograms), any1(x, netServers)
	return n.pairs[programs+"-"+servers]
}

// netFault is a bad network between one pair, for some time.
func netFault(worsen func(*Proxy), last func(*rand.Rand) time.Duration) fault {
	return func(ctx context.Context, r *rig, x *rand.Rand) error {
		p, reset := r.network.any1(x), x.IntN(2) == 0
		worsen(p)
		pause(ctx, last(x))
		// Some networks remember the connections, and what they held goes on;
		// others forgot them.
		if reset {
			p.Reset()
		}
		p.Clear()
		return nil
	}
}

func between(x *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(x.Int64N(int64(most-least)))
}

// shortly is 0.2 to 4 s: shorter and longer than the programs wait for Redis
// (2 s) and for a connection to PostgreSQL (3 s).
func shortly(x *rand.Rand) time.Duration {
	return between(x, 200*time.Millisecond, 4*time.Second)
}

// atLength is sometimes longer than a client of NATS waits for two pings (10 to
// 15 s), and than a player waits for durability cold.
func atLength(x *rand.Rand) time.Duration {
	if x.IntN(6) > 0 {
		return shortly(x)
	}
	return between(x, 12*time.Second, 17*time.Second)
}

// A network of 5 to 100 ms each way: to the other end of the world.
const (
	slowLeast = 5 * time.Millisecond
	slowMost  = 100 * time.Millisecond
)

func (p *Proxy) slowFar() { p.Slow(slowLeast, slowMost) }
