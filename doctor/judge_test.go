package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func TestASoundSystemHasNoFindings(t *testing.T) {
	for _, f := range Judge(sound()).Findings {
		t.Errorf("%s %s: %s", f.Severity, f.Part, f.Found)
	}
}

// Each case spoils one setting of a sound system. Exactly that has to be found,
// at its severity, with what to do.
func TestEachSettingIsFound(t *testing.T) {
	redis := func(spoil func(*RedisNode)) func(*Settings) {
		return func(s *Settings) { spoil(&s.Redis.Nodes[0]) }
	}
	postgres := func(spoil func(*Postgres)) func(*Settings) {
		return func(s *Settings) { spoil(&s.Postgres) }
	}
	nats := func(spoil func(*NATS)) func(*Settings) {
		return func(s *Settings) { spoil(&s.NATS) }
	}
	changes := func(spoil func(*jetstream.StreamConfig)) func(*Settings) {
		return func(s *Settings) { spoil(&s.NATS.Changes.Config) }
	}
	consumer := func(spoil func(*Consumer)) func(*Settings) {
		return func(s *Settings) { spoil(&s.NATS.Consumers[0]) }
	}
	for _, c := range []struct {
		name     string
		spoil    func(*Settings)
		severity Severity
		found    string // part of it
	}{
		{"redis down", func(s *Settings) { s.Redis = Redis{Err: "connection refused"} }, Critical, "Redis cannot be read: connection refused"},
		{"one master down", func(s *Settings) {
			s.Redis.Nodes = append(s.Redis.Nodes, RedisNode{Addr: "b:6379", Err: "no route"})
		}, Critical, "Redis b:6379 cannot be read"},
		{"cluster fails", func(s *Settings) { s.Redis.Cluster, s.Redis.ClusterState = true, "fail" }, Critical, "cluster_state is fail"},
		{"cluster by a plain URL", redis(func(n *RedisNode) { n.InCluster = true }), Critical, "node of a cluster"},
		{"redis 6", redis(func(n *RedisNode) { n.Version = "6.2.14" }), Warning, "version 6.2.14"},
		{"replica", redis(func(n *RedisNode) { n.Role = "slave" }), Critical, "is a replica"},
		{"loading", redis(func(n *RedisNode) { n.Loading = true }), Warning, "loading"},
		{"config forbidden", redis(func(n *RedisNode) { n.ConfigErr = "NOPERM" }), Note, "CONFIG cannot be read: NOPERM"},
		{"no aof", redis(func(n *RedisNode) { n.AppendOnly = false }), Critical, "appendonly no, and no snapshots"},
		{"snapshots only", redis(func(n *RedisNode) { n.AppendOnly, n.Save = false, "3600 1" }), Critical, "appendonly no, save 3600 1"},
		{"fsync no", redis(func(n *RedisNode) { n.AppendFsync = "no" }), Warning, "appendfsync no"},
		{"truncated refused", redis(func(n *RedisNode) { n.LoadTruncated = "no" }), Note, "aof-load-truncated no"},
		{"aof error", redis(func(n *RedisNode) { n.AOFLastWrite = "err" }), Critical, "aof_last_write_status"},
		{"snapshot error", redis(func(n *RedisNode) { n.RDBLastSave = "err" }), Warning, "rdb_last_bgsave_status"},
		{"slow disk", redis(func(n *RedisNode) { n.DelayedFsyncs = 3 }), Note, "3 syncs took"},
		{"evicts", redis(func(n *RedisNode) { n.Policy, n.MaxMemory = "allkeys-lru", 1<<30 }), Critical, "maxmemory-policy allkeys-lru, maxmemory 1 GiB"},
		{"volatile evicts", redis(func(n *RedisNode) { n.Policy = "volatile-ttl" }), Critical, "volatile-ttl, no maxmemory"},
		{"memory full", redis(func(n *RedisNode) { n.MaxMemory, n.UsedMemory = 100, 90 }), Warning, "90 B of 100 B memory"},
		{"no replica", redis(func(n *RedisNode) { n.Replicas = nil }), Note, "no replica"},
		{"replicas nobody waits for", redis(func(n *RedisNode) { n.MinReplicas = 0 }), Warning, "min-replicas-to-write 0"},
		{"replica behind", redis(func(n *RedisNode) { n.Replicas[0].Lag = time.Minute }), Warning, "silent for 1m"},
		{"replica loads", redis(func(n *RedisNode) { n.Replicas[0].State = "wait_bgsave" }), Warning, "wait_bgsave"},

		{"nats down", nats(func(n *NATS) { *n = NATS{Err: "no servers available"} }), Critical, "NATS cannot be read: no servers"},
		{"no jetstream", nats(func(n *NATS) { n.JetStreamErr = "not enabled" }), Critical, "JetStream cannot be read"},
		{"nats 2.10", nats(func(n *NATS) { n.Version = "2.10.22" }), Critical, "version 2.10.22"},
		{"nats 2.14", nats(func(n *NATS) { n.Version = "2.14.0" }), Note, "version 2.14.0"},
		{"nats 2.15.2", nats(func(n *NATS) { n.Version = "2.15.2" }), Note, "version 2.15.2"},
		{"account full", nats(func(n *NATS) { n.Account = AccountStorage{Used: 95, Max: 100} }), Warning, "account's file storage: 95 B of 100 B"},
		{"no stream", nats(func(n *NATS) { n.Changes = Stream{Name: "SYNC", Missing: true} }), Warning, "there is no stream SYNC"},
		{"stream hidden", nats(func(n *NATS) { n.Dead = Stream{Name: "SYNC_DLQ", Err: "timeout"} }), Critical, "stream SYNC_DLQ cannot be read: timeout"},
		{"discard old", changes(func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }), Critical, "stream SYNC: discard old"},
		{"max msgs", changes(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 }), Critical, "max_msgs 1000"},
		{"max per subject", changes(func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }), Critical, "max_msgs_per_subject 1"},
		{"rollup", changes(func(c *jetstream.StreamConfig) { c.AllowRollup = true }), Critical, "rollup"},
		{"no ack", changes(func(c *jetstream.StreamConfig) { c.NoAck = true }), Critical, "no_ack"},
		{"memory", changes(func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }), Critical, "storage memory"},
		{"work queue", changes(func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }), Critical, "retention WorkQueue"},
		{"short past", func(s *Settings) {
			s.NATS.Changes.Config.MaxAge, s.NATS.Want.MaxAge = time.Hour, time.Hour
		}, Warning, "max age 1h"},
		{"wants more past", nats(func(n *NATS) { n.Want.MaxAge = 500 * time.Hour }), Note, "SYNC_MAX_AGE is 500h"},
		{"wants more replicas", nats(func(n *NATS) { n.Want.Replicas = 5 }), Warning, "NATS_REPLICAS is 5"},
		{"no byte limit", changes(func(c *jetstream.StreamConfig) { c.MaxBytes = -1 }), Note, "no byte limit"},
		{"stream trims", nats(func(n *NATS) { n.Changes.State.Bytes = 700 << 20 }), Note, "holds 700 MiB of 1 GiB"},
		{"stream full", nats(func(n *NATS) { n.Changes.State.Bytes = 1000 << 20 }), Warning, "nearly full"},
		{"dead letters expire", nats(func(n *NATS) { n.Dead.Config.MaxAge = time.Hour }), Critical, "SYNC_DLQ: storage File, discard DiscardNew, max age 1h"},
		{"dead letters", nats(func(n *NATS) { n.Dead.State.Msgs = 2 }), Warning, "2 dead letters"},
		{"mirror in memory", nats(func(n *NATS) { n.Mirror.Config.Storage = jetstream.MemoryStorage }), Note, "bucket AC"},
		{"mirror full", nats(func(n *NATS) { n.Mirror.State.Bytes = 900 << 20 }), Warning, "bucket AC: 900 MiB of 1 GiB"},
		{"no schedules", nats(func(n *NATS) { n.Clock.Config.AllowMsgSchedules = false }), Critical, "does not allow schedules"},
		{"not armed", nats(func(n *NATS) { n.TickEvery = 0 }), Critical, "not armed"},
		{"no tick yet", nats(func(n *NATS) { n.LastTick = time.Time{} }), Warning, "not ticked"},
		{"ticks stopped", nats(func(n *NATS) { n.LastTick = at.Add(-time.Minute) }), Critical, "last tick of the sweeper is 1m old"},
		{"replica of a stream away", nats(func(n *NATS) { n.Changes.Behind = []string{"nats-2"} }), Warning, "nats-2 not current"},
		{"one of three", nats(func(n *NATS) { n.Dead.Config.Replicas = 1 }), Warning, "stream SYNC_DLQ: 1 of 3 replicas"},
		{"no consumer", consumer(func(c *Consumer) { c.Missing = true }), Warning, "there is no consumer saver-"},
		{"consumer hidden", consumer(func(c *Consumer) { c.Err = "timeout" }), Critical, "timeout"},
		{"max deliver", consumer(func(c *Consumer) { c.Config.MaxDeliver = 5 }), Critical, "max deliver 5"},
		{"no acks", consumer(func(c *Consumer) { c.Config.AckPolicy = jetstream.AckNonePolicy }), Critical, "ack policy"},
		{"few pending", consumer(func(c *Consumer) { c.Config.MaxAckPending = 1000 }), Warning, "max ack pending 1000"},
		{"hasty", consumer(func(c *Consumer) { c.Config.AckWait = time.Second }), Warning, "ack wait 1s"},
		{"paused", consumer(func(c *Consumer) { c.Paused = true }), Warning, "is paused"},
		{"behind", nats(func(n *NATS) { n.OldestUnsaved = at.Add(-time.Hour) }), Warning, "oldest unsaved event is 1h old"},
		{"soon expired", nats(func(n *NATS) { n.OldestUnsaved = at.Add(-160 * time.Hour) }), Critical, "oldest unsaved event is 160h old"},
		{"monitor down", nats(func(n *NATS) { n.Monitors[0].Err = "refused" }), Note, "monitoring of http://nats:8222 cannot be read"},
		{"server full", nats(func(n *NATS) { n.Monitors[0].Used = 31 << 30 }), Warning, "file storage of server nats-1: 31 GiB of 32 GiB"},

		{"postgres down", postgres(func(p *Postgres) { *p = Postgres{Err: "refused"} }), Critical, "PostgreSQL cannot be read: refused"},
		{"fsync off", postgres(func(p *Postgres) { p.Fsync = false }), Critical, "fsync off"},
		{"torn pages", postgres(func(p *Postgres) { p.FullPageWrites = false }), Critical, "full_page_writes off"},
		{"unlogged", postgres(func(p *Postgres) { p.Unlogged = []string{"items"} }), Critical, "unlogged tables: items"},
		{"another role", postgres(func(p *Postgres) { p.CommitOverrides = []string{"role saver: off"} }), Warning, "role saver: off"},
		{"standby", postgres(func(p *Postgres) { p.InRecovery = true }), Critical, "it is a standby"},
		{"read only", postgres(func(p *Postgres) { p.ReadOnly = true }), Critical, "read_only"},
		{"old", postgres(func(p *Postgres) { p.Version = 140011 }), Warning, "version 14.11"},
		{"not migrated", postgres(func(p *Postgres) { p.Schema = 0 }), Warning, "schema version 0, this build wants 1"},
		{"newer schema", postgres(func(p *Postgres) { p.Schema = 9 }), Note, "schema version 9 is newer"},
		{"standby lost", postgres(func(p *Postgres) { p.Standbys = nil }), Warning, "synchronous_standby_names is standby"},
		{"async standbys", postgres(func(p *Postgres) { p.SyncStandbys, p.Standbys[0].Sync = "", "async" }), Note, "none synchronous"},
		{"no copies", postgres(func(p *Postgres) { p.SyncStandbys, p.Standbys, p.ArchiveMode = "", nil, "off" }), Note, "archive_mode off"},
		{"connections", postgres(func(p *Postgres) { p.Connections = 90 }), Warning, "90 of 97 connections"},
		{"old transaction", postgres(func(p *Postgres) { p.OldestTransaction, p.OldestName = time.Hour, "bob psql" }), Warning, "bob psql is open for 1h"},

		{"redis clock", redis(func(n *RedisNode) { n.Clock.By = -2 * time.Second }), Warning, "redis redis:6379 is 2s behind"},
		{"redis clock wrong", redis(func(n *RedisNode) { n.Clock.By = 6 * time.Minute }), Critical, "6m ahead"},
		{"nats clock wrong", nats(func(n *NATS) { n.Monitors[0].Clock.By = -6 * time.Minute }), Critical, "nats nats-1 is 6m behind"},
		// No version is checked against it.
		{"postgres clock wrong", postgres(func(p *Postgres) { p.Clock.By = time.Hour }), Warning, "postgresql is 1h ahead"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sound()
			c.spoil(&s)
			got := Judge(s).Findings
			if len(got) != 1 || got[0].Severity != c.severity || !strings.Contains(got[0].Found, c.found) {
				t.Fatalf("findings %+v, want one that is %s and says %q", got, c.severity, c.found)
			}
			if f := got[0]; f.Risk == "" || f.Severity == Critical && f.Fix == "" && !strings.Contains(f.Found, "cannot be read") {
				t.Errorf("finding %+v lacks its risk or what to do", f)
			}
		})
	}
}

func TestUncertainClocksAreNotJudged(t *testing.T) {
	s := sound()
	s.Redis.Nodes[0].Clock = Offset{Known: true, By: 3 * time.Second, Within: 2500 * time.Millisecond}
	if got := Judge(s).Findings; len(got) != 0 {
		t.Errorf("findings %+v of a clock that may be right", got)
	}
}

func TestTickTellsTheClockThatStampedIt(t *testing.T) {
	const every = 10 * time.Second
	for _, c := range []struct {
		age  time.Duration
		want Offset
	}{
		{3 * time.Second, Offset{Known: true, By: 2 * time.Second, Within: 5 * time.Second}},
		{-time.Minute, Offset{Known: true, By: 65 * time.Second, Within: 5 * time.Second}},
		{time.Hour, Offset{}}, // stopped, or behind: nobody knows
	} {
		if got := tickClock(at.Add(-c.age), at, every); got != c.want {
			t.Errorf("a tick %s old: %+v, want %+v", c.age, got, c.want)
		}
	}
}

func TestSyncOffIsSaidWithItsWindow(t *testing.T) {
	s := sound()
	s.Postgres.SynchronousCommit, s.Postgres.SynchronousCommitSource = "off", "user"
	got := Judge(s).Findings
	if len(got) != 2 || got[0].Severity != Critical || !strings.Contains(got[0].Risk, "the last 600ms") || !strings.Contains(got[0].Found, "set by: user") {
		t.Errorf("findings %+v, want the window of 600ms, and who set it", got)
	}
}

func TestOneServerWithTheDefaultSyncIsWarnedOf(t *testing.T) {
	s := alone()
	s.NATS.Monitors[0].SyncInterval = 2 * time.Minute
	if got := Judge(s); !says(got, Warning, "sync_interval 2m") {
		t.Errorf("findings %+v, want a warning of the interval", got.Findings)
	}
	s.NATS.Monitors = nil
	if got := Judge(s); !says(got, Note, "sync_interval is not known") {
		t.Errorf("findings %+v, want a note that it is not known", got.Findings)
	}
	s.NATS.Monitors = []Monitor{{SyncAlways: true}}
	if got := Judge(s); says(got, Warning, "sync_interval") || says(got, Note, "sync_interval") {
		t.Errorf("findings %+v of a server that always syncs", got.Findings)
	}
}

func says(r Report, severity Severity, found string) bool {
	for _, f := range r.Findings {
		if f.Severity == severity && strings.Contains(f.Found, found) {
			return true
		}
	}
	return false
}
