package doctor

import (
	"strconv"
	"strings"
	"time"
)

// everysec is how much `appendfsync everysec` may leave unsynced: a second, and
// another while a sync takes long.
const everysec = 2 * time.Second

// writeback is how long Linux keeps a written page from the disk by default.
const writeback = 30 * time.Second

// steady is what Redis loses without any fault.
func (r Redis) steady() Loss {
	return r.worst(func(n RedisNode) Loss {
		if n.evicts() {
			return unsaved
		}
		return Loss{}
	})
}

// killed is what a Redis loses whose process dies: it restarts from its files,
// or a replica takes over.
func (r Redis) killed() Loss {
	return r.worst(func(n RedisNode) Loss {
		return worse(n.failover(), n.restarted(map[string]Loss{
			"always": {}, "no": {}, // written before the answer
			// Written before the answer, too, but for what is held back while a
			// sync is under way, at most two seconds.
			"everysec": {Window: everysec, Text: "2 s behind a slow disk"},
		}))
	})
}

// power is what a Redis loses whose machine dies.
func (r Redis) power() Loss {
	return r.worst(func(n RedisNode) Loss {
		return worse(n.failover(), n.restarted(map[string]Loss{
			"always": {}, "everysec": within(everysec), "no": within(writeback),
		}))
	})
}

// worst is the largest loss of any node, and unknown where one did not answer:
// each has characters of its own.
func (r Redis) worst(of func(RedisNode) Loss) Loss {
	if r.Err != "" || len(r.Nodes) == 0 {
		return unknown
	}
	var loss Loss
	for _, n := range r.Nodes {
		l := unknown
		if n.Err == "" {
			l = of(n)
		}
		loss = worse(loss, l)
	}
	return loss
}

func (r Redis) why(loss Loss) string {
	switch {
	case loss.Unknown:
		return "its settings could not be read; what the stream has is joined again"
	case loss.Nothing():
		return "it is on disk before the answer, and no replica takes over"
	}
	return "what the stream has is joined again on first touch; what was not published is gone, so are rounds of open fights"
}

// evicts reports whether the server drops keys when its memory is full.
func (n RedisNode) evicts() bool { return n.Policy != "" && n.Policy != "noeviction" }

// restarted is what a server has lost that starts from its files.
func (n RedisNode) restarted(byFsync map[string]Loss) Loss {
	if n.evicts() {
		return unsaved
	}
	if n.AppendOnly {
		if loss, ok := byFsync[n.AppendFsync]; ok {
			return loss
		}
		return unknown
	}
	if n.ConfigErr != "" {
		return unsaved // it may make snapshots, and they may be of any age
	}
	if longest := longestSave(n.Save); longest > 0 {
		return within(longest)
	}
	return unsaved
}

// failover is what the replica lacks that takes over. Replication does not wait
// for it; min-replicas-to-write bounds how far it may be behind.
func (n RedisNode) failover() Loss {
	if len(n.Replicas) == 0 {
		return Loss{}
	}
	if n.MinReplicas > 0 && n.MinReplicaLag > 0 {
		return within(n.MinReplicaLag)
	}
	return Loss{Window: forever, Text: "what the replica lacks"}
}

// longestSave is how long a change waits for a snapshot when it is the only
// one: the longest of the pairs of seconds and changes in save. 0 is never.
func longestSave(save string) (longest time.Duration) {
	fields := strings.Fields(save)
	for i := 0; i+1 < len(fields); i += 2 {
		if seconds, err := strconv.Atoi(fields[i]); err == nil {
			longest = max(longest, time.Duration(seconds)*time.Second)
		}
	}
	return longest
}
