package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Fault is one line of the table: what may be lost in a fault, of what had been
// answered at each level.
type Fault struct {
	ID   string `json:"id"`
	Name string `json:"fault"`
	Hot  Loss   `json:"hot"`
	// Stream is lost only where Redis and JetStream both lose it.
	Stream  Loss   `json:"stream"`
	Cold    Loss   `json:"cold"`
	Because string `json:"because"`
	// Promised is set where the product promises that what was answered
	// "stream" or "cold" survives.
	Promised bool `json:"promised"`
}

// Faults is the table. It takes one fault at a time, and what the product does
// about it as done: redelivery, sweep, rejoin, replay.
func Faults(s Settings) []Fault {
	redis, nats := s.Redis, s.NATS
	keeps, holds := redis.steady(), nats.steady()
	rows := []Fault{
		{ID: "none", Name: "no fault", Hot: keeps, Stream: both(keeps, holds), Promised: true,
			Because: "only what a server drops by itself"},
		s.redisFault("redis-killed", "Redis process killed", redis.killed(), redis.why(redis.killed())),
		s.redisFault("redis-power", "Redis machine lost power", redis.power(), redis.why(redis.power())),
		s.redisFault("redis-lost", "Redis lost entirely", redis.lost(),
			"joined again from PostgreSQL and the stream; idempotency keys and rounds of open fights are gone"),
		s.natsFault("nats-killed", "NATS process killed", nats.killed()),
		s.natsFault("nats-power", "NATS machine lost power", nats.power()),
		s.natsFault("nats-lost", "NATS storage lost", unsaved),
		postgresFault("postgres-killed", "PostgreSQL killed", s.Postgres.killed(), true),
		postgresFault("postgres-power", "PostgreSQL machine lost power", s.Postgres.power(), true),
		s.postgresLost(),
	}
	return append(rows, s.sharedPower()...)
}

// redisFault: what Redis forgets it gets back from PostgreSQL and from the
// stream when the character is next touched. So "hot" loses what was not
// published, and "stream" what the stream has dropped as well.
func (s Settings) redisFault(id, name string, loss Loss, because string) Fault {
	hot, holds := loss, s.NATS.steady()
	if hot == unsaved && !holds.Certain() {
		hot.Text = "what was not published"
	}
	return Fault{ID: id, Name: name, Hot: hot, Stream: both(loss, holds), Because: because, Promised: true}
}

// natsFault: what the stream forgets is still marked in Redis, and the sweeper
// publishes it again. So nothing is lost that Redis does not drop by itself.
func (s Settings) natsFault(id, name string, loss Loss) Fault {
	keeps := s.Redis.steady()
	because := "JetStream keeps it"
	if !loss.Nothing() {
		because = fmt.Sprintf("JetStream loses %s; %s", loss, keeps.marks())
	}
	if loss.Unknown {
		because = "what JetStream loses is not known; " + keeps.marks()
	}
	return Fault{ID: id, Name: name, Hot: keeps, Stream: both(loss, keeps), Because: because, Promised: true}
}

// marks says what becomes of the dirty marks in a Redis that loses l by itself.
func (l Loss) marks() string {
	switch {
	case l.Nothing():
		return "the dirty marks in Redis publish it again"
	case l.Unknown:
		return "whether Redis has its dirty marks is not known"
	}
	return "Redis may have dropped the dirty marks that would publish it again"
}

// postgresFault: what PostgreSQL had confirmed is acknowledged in the stream,
// and its mark is gone. The level of the first answer does not matter then:
// nobody saves it again by himself.
func postgresFault(id, name string, loss Loss, promised bool) Fault {
	because := "PostgreSQL keeps what it has committed"
	if loss.Certain() {
		because = "savers took it for saved: acknowledged in the stream, its mark cleared; `saver replay` brings it back while the stream has it"
	}
	return Fault{ID: id, Name: name, Hot: loss, Stream: loss, Cold: loss, Because: because, Promised: promised}
}

// postgresLost: `saver replay` brings back what the stream has, a backup what
// is older. Whether there is a backup cannot be seen from here, so the line is
// not one of those that decide. That the stream has its first event does not
// mean that it has all: it may have been made anew since.
func (s Settings) postgresLost() Fault {
	row := postgresFault("postgres-lost", "PostgreSQL lost", s.NATS.beforeReplay(), false)
	state := s.NATS.Changes.State
	switch {
	case s.Postgres.hasSyncStandby():
		row.Hot, row.Stream, row.Cold = Loss{}, Loss{}, Loss{}
		row.Because = "a synchronous standby has every commit"
	case row.Cold.Unknown:
		row.Because = "how far back a replay reaches could not be read"
	case state.Msgs == 0:
		row.Because = "the stream is empty: only a backup brings anything back"
	default:
		row.Because = "`saver replay` brings back what is newer than " + state.FirstTime.UTC().Format("2006-01-02 15:04 MST") +
			", the stream's oldest event; a backup has to have the rest"
	}
	return row
}

// sharedPower is the power cut that takes Redis and the others with it.
func (s Settings) sharedPower() []Fault {
	if len(s.Shared) < 2 {
		return nil
	}
	hot, stream, cold := s.Redis.steady(), Loss{}, Loss{}
	inRedis, inNATS := s.Redis.steady(), s.NATS.steady()
	for _, part := range s.Shared {
		switch part {
		case partRedis:
			inRedis = s.Redis.power()
			hot = inRedis
		case partNATS:
			inNATS = s.NATS.power()
		case partPostgres:
			cold = s.Postgres.power()
		}
	}
	stream = both(inRedis, inNATS)
	return []Fault{{
		ID: "shared-power", Name: "their machine lost power",
		Hot: worse(hot, cold), Stream: worse(stream, cold), Cold: cold,
		Because: "on one machine by their addresses: " + strings.Join(s.Shared, ", ") + "; what both copies lose is lost",
	}}
}

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

// lost is a Redis that comes back empty.
func (r Redis) lost() Loss { return unsaved }

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

// steady is what JetStream loses without any fault.
func (n NATS) steady() Loss {
	switch {
	case !n.Changes.read():
		return unknown
	case len(drops(n.Changes.Config)) > 0:
		return unsaved
	}
	return Loss{}
}

// killed is what a server loses whose process dies: all is written to files
// before the ack.
func (n NATS) killed() Loss {
	if loss := n.steady(); !loss.Nothing() {
		return loss
	}
	if n.inMemory() {
		return unsaved
	}
	return Loss{}
}

// power is what a server loses whose machine dies. Of three servers the others
// have it.
func (n NATS) power() Loss {
	if loss := n.killed(); !loss.Nothing() || n.Changes.Config.Replicas >= 3 {
		return loss
	}
	interval, always, known := n.syncs()
	switch {
	case !known:
		return unknown
	case always:
		return Loss{}
	}
	return within(interval)
}

func (n NATS) inMemory() bool {
	return isMemory(n.Changes.Config) && n.Changes.Config.Replicas < 3
}

// syncs is the longest sync interval of the servers that were asked.
func (n NATS) syncs() (interval time.Duration, always, known bool) {
	always = true
	for _, m := range n.Monitors {
		if m.Err != "" {
			continue
		}
		known = true
		if !m.SyncAlways {
			always = false
			interval = max(interval, m.SyncInterval)
		}
	}
	return interval, always && known, known
}

// beforeReplay is what a replay of the stream cannot bring back.
func (n NATS) beforeReplay() Loss {
	if !n.Changes.read() {
		return unknown
	}
	return Loss{Window: forever, Text: "what is older than the stream"}
}

// killed is what PostgreSQL loses whose processes die at once.
func (p Postgres) killed() Loss {
	switch {
	case p.Err != "":
		return unknown
	case len(p.Unlogged) > 0:
		return Loss{Window: forever, Text: "unlogged tables"}
	case p.SynchronousCommit == "off":
		// The WAL writer's own promise: three of its delays.
		return within(3 * p.WALWriterDelay)
	}
	return Loss{}
}

// power is what PostgreSQL loses whose machine dies.
func (p Postgres) power() Loss {
	if p.Err == "" && (!p.Fsync || !p.FullPageWrites) {
		return anything
	}
	return p.killed()
}

func (p Postgres) hasSyncStandby() bool {
	if p.SynchronousCommit == "off" || p.SynchronousCommit == "local" {
		return false
	}
	for _, s := range p.Standbys {
		if s.Sync == "sync" || s.Sync == "quorum" {
			return true
		}
	}
	return false
}
