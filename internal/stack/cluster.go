package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// A RedisCluster is a Redis Cluster of masters without replicas: when a node
// is down, so are its slots, and with them the cluster.
type RedisCluster struct {
	// Nodes share the slots evenly, in this order. A node that was stopped or
	// killed comes back with StartRedis(ctx, node.Config()); the field keeps
	// the old one.
	Nodes []*Redis
}

// slots is the number of hash slots of any cluster.
const slots = 16384

// StartRedisCluster starts nodes in directories below dir and returns when
// each of them sees the whole cluster: 2 s at least, since a master waits that
// long before it takes writes. The cluster is a new one, so dir has to be
// empty.
func StartRedisCluster(ctx context.Context, dir string, nodes int) (*RedisCluster, error) {
	if err := emptyDir(dir); err != nil {
		return nil, fmt.Errorf("start Redis Cluster: %w", err)
	}
	c := &RedisCluster{Nodes: make([]*Redis, nodes)}
	err := c.startNodes(ctx, dir)
	if err == nil {
		err = c.form(ctx)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start Redis Cluster: %w", err), c.Kill())
	}
	return c, nil
}

func emptyDir(dir string) error {
	dir, err := makeDir(dir)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%s is not empty: remove it, or choose another directory", dir)
	}
	return err
}

func (c *RedisCluster) startNodes(ctx context.Context, dir string) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range c.Nodes {
		group.Go(func() (err error) {
			c.Nodes[i], err = startNode(ctx, filepath.Join(dir, strconv.Itoa(i)))
			return err
		})
	}
	return group.Wait()
}

// startNode names the bus port, because by default it is the port plus 10,000,
// which may be taken or none at all.
func startNode(ctx context.Context, dir string) (*Redis, error) {
	return retryStart(ctx, func() (*Redis, error) {
		bus, err := freePort()
		if err != nil {
			return nil, err
		}
		return startRedis(ctx, RedisConfig{Dir: dir, Args: []string{
			"--cluster-enabled", "yes",
			"--cluster-port", strconv.Itoa(bus),
			"--cluster-announce-ip", "127.0.0.1",
		}})
	})
}

// form gives every node its slots, makes each known to the first, and waits
// until they agree.
func (c *RedisCluster) form(ctx context.Context) error {
	for i, node := range c.Nodes {
		if err := c.join(ctx, i); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
		if i == 0 {
			continue
		}
		if err := node.meet(ctx, c.Nodes[0]); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
	}
	for i, node := range c.Nodes {
		if err := awaitAnswer(ctx, node.Process, c.seenBy(node)); err != nil {
			return fmt.Errorf("node %d: %w", i, err)
		}
	}
	return nil
}

// join assigns slots and an epoch. Nodes that all claim epoch 0 would have to
// settle that first.
func (c *RedisCluster) join(ctx context.Context, i int) error {
	client := c.Nodes[i].client()
	defer client.Close()
	if err := client.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err(); err != nil {
		return err
	}
	n := len(c.Nodes)
	return client.ClusterAddSlotsRange(ctx, i*slots/n, (i+1)*slots/n-1).Err()
}

func (r *Redis) meet(ctx context.Context, other *Redis) error {
	client := r.client()
	defer client.Close()
	return client.Do(ctx, "CLUSTER", "MEET", "127.0.0.1", other.Port(), other.busPort()).Err()
}

func (r *Redis) busPort() string {
	for i, arg := range r.config.Args {
		if arg == "--cluster-port" {
			return r.config.Args[i+1]
		}
	}
	return strconv.Itoa(r.Port() + 10000)
}

func (c *RedisCluster) seenBy(node *Redis) func(context.Context) error {
	return func(ctx context.Context) error {
		client := node.client()
		defer client.Close()
		info, err := client.ClusterInfo(ctx).Result()
		if err != nil {
			return err
		}
		for _, want := range []string{"cluster_state:ok", fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes))} {
			if !strings.Contains(info, want+"\r\n") {
				return fmt.Errorf("not yet %s", want)
			}
		}
		return nil
	}
}

// Addrs are the hosts and ports of the nodes.
func (c *RedisCluster) Addrs() []string {
	var addrs []string
	for _, node := range c.Nodes {
		addrs = append(addrs, node.Addr())
	}
	return addrs
}

// URL is the list of the nodes' redis:// addresses, separated by commas.
func (c *RedisCluster) URL() string { return "redis://" + strings.Join(c.Addrs(), ",redis://") }

// Stop ends the nodes side by side. A node that had ended before is no error.
func (c *RedisCluster) Stop(ctx context.Context) error {
	return c.each(func(node *Redis) error { return node.Stop(ctx) })
}

func (c *RedisCluster) Kill() error {
	return c.each(func(node *Redis) error { return node.Kill() })
}

// each returns all errors. It passes over nodes that were never started.
func (c *RedisCluster) each(do func(*Redis) error) error {
	errs := make([]error, len(c.Nodes))
	var group errgroup.Group
	for i, node := range c.Nodes {
		if node != nil {
			group.Go(func() error { errs[i] = do(node); return nil })
		}
	}
	_ = group.Wait()
	return errors.Join(errs...)
}
