package doctor

import (
	"fmt"
	"strings"
	"time"
)

// lagLimit is how long a replica may be silent. They say something each second.
const lagLimit = 10 * time.Second

func judgeRedis(r Redis) []Finding {
	f := &findings{part: partRedis}
	if r.Err != "" {
		f.unread("Redis", r.Err, "start it, or correct REDIS_URL")
		return f.list
	}
	judgeRedisCluster(f, r)
	for _, n := range r.Nodes {
		if n.Err != "" {
			f.unread("Redis "+n.Addr, n.Err, "start it, or correct REDIS_URL")
			continue
		}
		judgeRedisServer(f, r, n)
		judgePersistence(f, n)
		judgeMemory(f, n)
		judgeReplicas(f, n)
	}
	return f.list
}

func judgeRedisCluster(f *findings, r Redis) {
	if !r.Cluster {
		return
	}
	switch {
	case r.ClusterErr != "":
		f.unread("Redis Cluster", r.ClusterErr, "")
	case r.ClusterState != "ok":
		f.add(Critical, "cluster_state is "+r.ClusterState, "characters of the missing slots cannot be played, and their marks cannot be swept", "bring the missing masters back (`redis-cli cluster info`)")
	}
}

func judgeRedisServer(f *findings, r Redis, n RedisNode) {
	if major(n.Version) < 7 {
		f.add(Warning, n.named("version "+n.Version), "the commit script is tested with 7 and later only", "upgrade to Redis 7 or later")
	}
	if n.Role != "master" {
		f.add(Critical, n.named("is a replica (role "+n.Role+")"), "it refuses commits; where it takes them, the next sync with its master drops them", "point REDIS_URL at the master")
	}
	if n.InCluster && !r.Cluster {
		f.add(Critical, n.named("is a node of a cluster, and REDIS_URL names a single Redis"), "commits of most characters are refused", "write REDIS_URL as redis+cluster://…")
	}
	if n.Loading {
		f.add(Warning, n.named("is loading its data"), "until it has, gameplay waits", "")
	}
	if n.ConfigErr != "" {
		f.add(Note, n.named("CONFIG cannot be read: "+n.ConfigErr), "how often it syncs, and how far a replica may be behind, is not known; judged is what INFO says", "look at appendfsync, save and min-replicas-to-write in the service's console")
	}
}

func judgePersistence(f *findings, n RedisNode) {
	if !n.AppendOnly {
		f.add(Critical, n.named("appendonly no"+n.snapshots()),
			fmt.Sprintf("Redis process killed: %s of what was answered hot, and the only copy of open fights", n.restarted(nil)), "appendonly yes, appendfsync everysec")
	}
	if n.AppendOnly && n.AppendFsync == "no" {
		f.add(Warning, n.named("appendfsync no"), "Redis machine lost power: what the system had not written, about 30 s of what was answered hot", "appendfsync everysec")
	}
	if n.AppendOnly && n.LoadTruncated == "no" {
		f.add(Note, n.named("aof-load-truncated no"), "after a power cut Redis does not start until redis-check-aof has cut the file; gameplay waits for somebody", "aof-load-truncated yes: what is cut is joined again from the stream")
	}
	if n.AOFLastWrite == "err" {
		f.add(Critical, n.named("aof_last_write_status is err"), "the append-only file is not written: commits are refused, and a kill now loses what came since", "make room on its disk")
	}
	if n.RDBLastSave == "err" {
		f.add(Warning, n.named("rdb_last_bgsave_status is err"), "commits are refused while stop-writes-on-bgsave-error is on; a replica cannot be made", "make room on its disk, or memory for the fork")
	}
	if n.DelayedFsyncs > 0 {
		f.add(Note, n.named(fmt.Sprintf("%d syncs took more than a second", n.DelayedFsyncs)), "Redis process killed in such a moment: up to 2 s of what was answered hot", "a faster disk, or one that it does not share")
	}
}

func (n RedisNode) snapshots() string {
	switch {
	case n.ConfigErr != "":
		return ""
	case n.Save == "":
		return ", and no snapshots"
	}
	return ", save " + n.Save
}

func judgeMemory(f *findings, n RedisNode) {
	if n.evicts() {
		limit := "no maxmemory"
		if n.MaxMemory > 0 {
			limit = "maxmemory " + size(n.MaxMemory)
		}
		f.add(Critical, n.named(fmt.Sprintf("maxmemory-policy %s, %s", n.Policy, limit)),
			"no fault needed: a full Redis drops state and marks that nobody has saved; then NATS storage lost loses what was answered stream", "maxmemory-policy noeviction; `EVICT_IDLE` of the savers makes room")
	}
	if n.MaxMemory > 0 && n.UsedMemory >= n.MaxMemory/10*9 {
		f.add(Warning, n.named(fmt.Sprintf("%s of %s memory used", size(n.UsedMemory), size(n.MaxMemory))),
			"a full Redis refuses commits (noeviction) or drops what is not saved", "raise maxmemory, or lower EVICT_IDLE")
	}
}

func judgeReplicas(f *findings, n RedisNode) {
	if len(n.Replicas) == 0 {
		f.add(Note, n.named("no replica"), "Redis machine lost: gameplay waits until it is back; what was answered stream is in JetStream", "")
		return
	}
	if n.ConfigErr == "" && n.MinReplicas == 0 {
		f.add(Warning, n.named("min-replicas-to-write 0"), "failover to a replica that is behind: what was answered hot, without a bound", "min-replicas-to-write 1, min-replicas-max-lag 10")
	}
	for _, r := range n.Replicas {
		if r.State != "online" || r.Lag > lagLimit {
			f.add(Warning, n.named(fmt.Sprintf("replica %s is %s, silent for %s", r.Addr, r.State, short(r.Lag))), "failover to it: what was answered hot since", "look at its log and its network")
		}
	}
}

// named says which server of several.
func (n RedisNode) named(what string) string { return strings.TrimSpace(n.Addr + ": " + what) }
