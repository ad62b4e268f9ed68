package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// routes are the ways by which the servers of a cluster reach each other: a proxy from
// each to each other one. A single server has none.
type routes map[route]*Proxy

// A route goes from one server to another, by their places among natsServers.
type route struct{ from, to int }

// nowhere is where a server tells the others that it listens, so that none goes past
// the routes: nothing listens there.
const nowhere = "127.0.0.1:1"

// openRoutes has the servers of a cluster reach each other by routes.
func openRoutes(servers []stack.NATSProcessConfig) (routes, error) {
	ways := make(routes)
	if len(servers) == 1 {
		return ways, nil
	}
	for from := range servers {
		peers := &servers[from].Peers
		peers.All, peers.Advertise = nil, nowhere
		for to := range servers {
			if to == from {
				continue
			}
			p, err := StartProxy(servers[to].Peers.Addr)
			if err != nil {
				return ways, errors.Join(err, ways.close())
			}
			ways[route{from, to}] = p
			peers.All = append(peers.All, p.Addr())
		}
	}
	return ways, nil
}

func (ways routes) close() error {
	var errs []error
	for _, p := range ways {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// each does something with all routes from and to a server.
func (ways routes) each(server int, do func(*Proxy)) {
	for way, p := range ways {
		if way.from == server || way.to == server {
			do(p)
		}
	}
}

// natsSplit keeps one server of a cluster and the others from reaching each other; the
// programs go on talking to all. What the one led, it leads on until it notices, while
// the others choose another leader.
func natsSplit(ctx context.Context, r *rig, x *rand.Rand) error {
	server, length, cut, reset := x.IntN(len(r.nats)), untilElected(x), x.IntN(2) == 0, x.IntN(2) == 0
	fmt.Fprintf(r.log, "chaos: NATS server %d alone for %v, connections reset at the begin: %t, at the end: %t\n", server, length, cut, reset)
	if cut {
		r.routes.each(server, (*Proxy).Cut)
	} else {
		r.routes.each(server, (*Proxy).Hang)
	}
	pause(ctx, length)
	if reset {
		r.routes.each(server, (*Proxy).Reset)
	}
	r.routes.each(server, (*Proxy).Clear)
	return nil
}

// untilElected is half of the time longer than the others need to choose another leader
// (4 to 9 s), and than one that leads alone needs to notice (10 s).
func untilElected(x *rand.Rand) time.Duration {
	if x.IntN(2) == 0 {
		return shortly(x)
	}
	return between(x, 8*time.Second, 17*time.Second)
}
