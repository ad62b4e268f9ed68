package doctor

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// at is the clock of these tests.
var at = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// sound is a system with nothing to find: each part on a machine of its own,
// with a replica each.
func sound() Settings {
	stream := func(name string) Stream {
		return Stream{Name: name, State: jetstream.StreamState{Msgs: 5000, FirstSeq: 1, FirstTime: at.Add(-time.Hour), Bytes: 1 << 20},
			Config: jetstream.StreamConfig{
				Name: name, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew, Retention: jetstream.LimitsPolicy,
				Replicas: 3, MaxBytes: 1 << 30, MaxMsgs: -1, MaxMsgsPerSubject: -1,
			}}
	}
	s := Settings{
		Now: at,
		Redis: Redis{Nodes: []RedisNode{{
			Addr: "redis:6379", Version: "7.2.4", Role: "master", AppendOnly: true, AppendFsync: "everysec", LoadTruncated: "yes",
			MinReplicas: 1, MinReplicaLag: 10 * time.Second, Policy: "noeviction", AOFLastWrite: "ok", RDBLastSave: "ok",
			Replicas: []RedisReplica{{Addr: "redis-2:6379", State: "online"}},
			Clock:    Offset{Known: true, By: time.Millisecond, Within: time.Millisecond},
		}}},
		NATS: NATS{
			Addr: "nats:4222", Version: "2.15.3", Cluster: "sync", Account: AccountStorage{Max: -1},
			Changes: stream(bus.StreamChanges), Clock: stream(bus.StreamClock), Dead: stream(bus.StreamDead), Mirror: stream(bus.StreamMirror),
			LastTick: at.Add(-3 * time.Second), TickEvery: 10 * time.Second,
			Want: bus.Topology{Replicas: 3, MaxAge: 168 * time.Hour},
			Monitors: []Monitor{{URL: "http://nats:8222", Server: "nats-1", SyncInterval: time.Second, Max: 32 << 30,
				Clock: Offset{Known: true, By: -2 * time.Millisecond, Within: time.Millisecond}}},
		},
		Postgres: Postgres{
			Addr: "postgres:5432", Version: 170002, Fsync: true, FullPageWrites: true, SynchronousCommit: "on", SynchronousCommitSource: "default",
			SyncStandbys: "standby", WALLevel: "replica", ArchiveMode: "on", WALWriterDelay: 200 * time.Millisecond,
			Connections: 20, Slots: 97, PoolSize: 12, Schema: 1, WantSchema: 1,
			Standbys: []Standby{{Name: "standby", State: "streaming", Sync: "sync"}},
			Clock:    Offset{Known: true, By: time.Microsecond, Within: time.Millisecond},
		},
	}
	s.NATS.Changes.Config.MaxAge = 168 * time.Hour
	s.NATS.Dead.State.Msgs = 0
	s.NATS.Clock.Config.AllowMsgSchedules = true
	s.NATS.Clock.Config.Discard, s.NATS.Clock.Config.MaxMsgsPerSubject = jetstream.DiscardOld, 1
	for _, scope := range events.Scopes() {
		s.NATS.Consumers = append(s.NATS.Consumers, Consumer{Scope: scope, Name: bus.ConsumerName(scope), Config: jetstream.ConsumerConfig{
			MaxDeliver: -1, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 80_000, AckWait: 10 * time.Second,
		}})
	}
	return s
}

// alone is sound with one server of each part and no replicas, as most begin.
func alone() Settings {
	s := sound()
	s.Redis.Nodes[0].Replicas, s.Redis.Nodes[0].MinReplicas = nil, 0
	s.NATS.Cluster, s.NATS.Want.Replicas = "", 1
	for _, stream := range []*Stream{&s.NATS.Changes, &s.NATS.Clock, &s.NATS.Dead, &s.NATS.Mirror} {
		stream.Config.Replicas = 1
	}
	s.Postgres.Standbys, s.Postgres.SyncStandbys = nil, ""
	return s
}
