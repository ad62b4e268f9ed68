package chaos

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// network is what is between the programs and the servers. The checker and the
// tools do not go through it.
type network struct {
	pairs map[string]*Proxy // by names as "gateway-redis", "gateway-nats-1": for all gateways one
}

// The ends of the pairs: kinds of programs, and servers by the variable that
// tells a program where one is.
var (
	netPrograms = []string{"gateway", "saver"}
	netServers  = map[string]string{"REDIS_URL": "redis", "NATS_URL": "nats", "DATABASE_URL": "postgres"}
)

// startNetwork puts a clear proxy between each pair. urls is where the servers
// are, as the environment of a program.
func startNetwork(urls []string) (_ *network, err error) {
	n := &network{pairs: make(map[string]*Proxy)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
		}
	}()
	for _, entry := range urls {
		variable, at, err := parseEntry(entry)
		if err != nil {
			return n, err
		}
		for i := range at {
			for _, program := range netPrograms {
				p, err := StartProxy(at[i].Host)
				if err != nil {
					return n, err
				}
				n.pairs[pairName(program, variable, i)] = p
			}
		}
	}
	return n, nil
}

// through is urls for a program that goes through the network.
func (n *network) through(program string, urls []string) (env []string) {
	for _, entry := range urls {
		variable, at, err := parseEntry(entry)
		if err != nil {
			continue // startNetwork has parsed it
		}
		urls := make([]string, len(at))
		for i := range at {
			at[i].Host = n.pairs[pairName(program, variable, i)].Addr()
			urls[i] = at[i].String()
		}
		env = append(env, variable+"="+strings.Join(urls, ","))
	}
	return env
}

// pairName names the pair of a program and the ith of the servers that a variable
// names.
func pairName(program, variable string, i int) string {
	name := program + "-" + netServers[variable]
	if i > 0 {
		name += "-" + strconv.Itoa(i)
	}
	return name
}

func parseEntry(entry string) (variable string, at []*url.URL, err error) {
	variable, list, _ := strings.Cut(entry, "=")
	for text := range strings.SplitSeq(list, ",") {
		one, err := url.Parse(text)
		if err != nil {
			return "", nil, fmt.Errorf("address of a server: %w", err)
		}
		at = append(at, one)
	}
	return variable, at, nil
}

// follow aims at where a server is now, given as in urls, and resets the
// connections to where it was before. It reads nothing of the rig, so that the
// faults of other servers may go on meanwhile.
func (n *network) follow(entry string) error {
	variable, at, err := parseEntry(entry)
	if err != nil {
		return err
	}
	for _, program := range netPrograms {
		for i := range at {
			if p := n.pairs[pairName(program, variable, i)]; p.aim() != at[i].Host {
				p.Retarget(at[i].Host)
				p.Reset()
			}
		}
	}
	return nil
}

func (n *network) close() error {
	var errs []error
	for _, p := range n.pairs {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// netFault is a bad network between one pair, for some time.
func netFault(what string, worsen func(*Proxy), last func(*rand.Rand) time.Duration) fault {
	return func(ctx context.Context, r *rig, x *rand.Rand) error {
		pair, length, reset := any1(x, slices.Sorted(maps.Keys(r.network.pairs))), last(x), x.IntN(2) == 0
		p := r.network.pairs[pair]
		fmt.Fprintf(r.log, "chaos: %s %s for %v, then forgotten: %t\n", pair, what, length, reset)
		worsen(p)
		pause(ctx, length)
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
