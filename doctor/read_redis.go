package doctor

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/hot"
)

func readRedis(ctx context.Context, url string) Redis {
	store, err := hot.Open(url)
	if err != nil {
		return Redis{Err: err.Error()}
	}
	defer store.Close() // nothing is buffered
	switch client := store.Client().(type) {
	case *redis.ClusterClient:
		return readCluster(ctx, client)
	case *redis.Client:
		node := readNode(ctx, client)
		if node.Err != "" {
			return Redis{Err: node.Err}
		}
		return Redis{Nodes: []RedisNode{node}}
	default:
		return Redis{Err: "it is neither a server nor a cluster"}
	}
}

// readCluster asks every master, side by side.
func readCluster(ctx context.Context, client *redis.ClusterClient) Redis {
	r := Redis{Cluster: true}
	var mu sync.Mutex
	err := client.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
		node := readNode(ctx, master)
		mu.Lock()
		defer mu.Unlock()
		r.Nodes = append(r.Nodes, node)
		return nil
	})
	if err != nil || len(r.Nodes) == 0 {
		r.Err = "no master answers"
		if err != nil {
			r.Err = err.Error()
		}
		return r
	}
	slices.SortFunc(r.Nodes, func(a, b RedisNode) int { return strings.Compare(a.Addr, b.Addr) })
	info, err := client.ClusterInfo(ctx).Result()
	if err != nil {
		r.ClusterErr = err.Error()
	}
	r.ClusterState = lines(info)["cluster_state"]
	return r
}

func readNode(ctx context.Context, client *redis.Client) RedisNode {
	n := RedisNode{Addr: client.Options().Addr}
	text, err := client.Info(ctx).Result()
	if err != nil {
		n.Err = err.Error()
		return n
	}
	n.fromInfo(lines(text))
	if err := n.readConfig(ctx, client); err != nil {
		n.ConfigErr = err.Error()
	}
	n.Clock = readClock(func() (time.Time, error) { return client.Time(ctx).Result() })
	return n
}

// fromInfo takes what INFO tells, which is also there where CONFIG is not.
func (n *RedisNode) fromInfo(info map[string]string) {
	n.Version, n.Role = info["redis_version"], info["role"]
	n.InCluster, n.Loading = info["cluster_enabled"] == "1", info["loading"] == "1"
	n.AppendOnly = info["aof_enabled"] == "1"
	n.MaxMemory, n.UsedMemory = number(info["maxmemory"]), number(info["used_memory"])
	n.Policy = info["maxmemory_policy"]
	n.RDBLastSave = info["rdb_last_bgsave_status"]
	n.DelayedFsyncs = number(info["aof_delayed_fsync"])
	if n.AppendOnly { // without, it is the last word of an older life
		n.AOFLastWrite = info["aof_last_write_status"]
	}
	for i := range int(number(info["connected_slaves"])) {
		n.Replicas = append(n.Replicas, readReplica(info["slave"+strconv.Itoa(i)]))
	}
}

// readReplica reads "ip=127.0.0.1,port=6380,state=online,offset=14,lag=0".
func readReplica(text string) RedisReplica {
	fields := make(map[string]string)
	for field := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(field, "=")
		fields[name] = value
	}
	return RedisReplica{
		Addr: fields["ip"] + ":" + fields["port"], State: fields["state"],
		Lag: time.Duration(number(fields["lag"])) * time.Second,
	}
}

func (n *RedisNode) readConfig(ctx context.Context, client *redis.Client) error {
	config := make(map[string]string)
	for _, name := range []string{"appendfsync", "save", "aof-load-truncated", "min-replicas-to-write", "min-replicas-max-lag"} {
		values, err := client.ConfigGet(ctx, name).Result()
		if err != nil {
			return err
		}
		config[name] = values[name]
	}
	n.AppendFsync, n.Save, n.LoadTruncated = config["appendfsync"], config["save"], config["aof-load-truncated"]
	n.MinReplicas = int(number(config["min-replicas-to-write"]))
	n.MinReplicaLag = time.Duration(number(config["min-replicas-max-lag"])) * time.Second
	return nil
}

// lines reads what INFO answers: name:value, a line each.
func lines(text string) map[string]string {
	values := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			values[name] = value
		}
	}
	return values
}

// number is 0 where there is none: INFO of an older server lacks some.
func number(text string) int64 {
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}
