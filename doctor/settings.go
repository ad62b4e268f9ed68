package doctor

import (
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// Settings is what Read has read. A text in a field called Err says why that
// part could not be read.
type Settings struct {
	// Now is the clock of this machine when the servers were asked.
	Now      time.Time
	Redis    Redis
	NATS     NATS
	Postgres Postgres
	// Shared names the parts that run on one machine, where two or more do.
	Shared []string
}

// Redis is what the Redis servers say.
type Redis struct {
	Err string
	// Cluster is set where the product takes it for a Redis Cluster.
	Cluster      bool
	ClusterErr   string
	ClusterState string // "ok" or "fail", of a cluster
	// Nodes are the server, or every master of the cluster.
	Nodes []RedisNode
}

// RedisNode is one Redis server that takes commits.
type RedisNode struct {
	Addr    string
	Err     string
	Version string
	Role    string // "master" or "slave"
	// InCluster is what the server itself says.
	InCluster bool
	Loading   bool

	AppendOnly bool
	// ConfigErr says why CONFIG could not be read; then the fields below it are
	// empty. Managed services forbid it.
	ConfigErr     string
	AppendFsync   string        // "always", "everysec" or "no"
	Save          string        // as in "3600 1 300 100", "" for never
	LoadTruncated string        // aof-load-truncated: "yes" or "no"
	MinReplicas   int           // min-replicas-to-write
	MinReplicaLag time.Duration // min-replicas-max-lag

	MaxMemory, UsedMemory int64 // bytes; a MaxMemory of 0 is no limit
	Policy                string

	AOFLastWrite, RDBLastSave string // "ok" or "err"
	DelayedFsyncs             int64
	Replicas                  []RedisReplica
	Clock                     Offset
}

// RedisReplica is one replica of a node, as its master sees it.
type RedisReplica struct {
	Addr, State string
	Lag         time.Duration // since its last sign of life, whole seconds
}

// NATS is what the NATS servers say.
type NATS struct {
	Err     string
	Addr    string
	Version string
	Cluster string // its name, "" for one server alone

	JetStreamErr string
	Account      AccountStorage

	Changes, Clock, Dead, Mirror Stream
	Consumers                    []Consumer
	// OldestUnsaved is when the oldest event was stored that no saver has
	// settled. Zero where all are.
	OldestUnsaved time.Time
	// LastTick is when the server's schedule last ticked, and TickEvery how
	// often it is armed to. Zero where they could not be read.
	LastTick  time.Time
	TickEvery time.Duration

	// Want is what the deployment's configuration asks for.
	Want bus.Topology
	// Monitors are the monitoring endpoints that were given.
	Monitors []Monitor
	// TickClock is what the newest tick says about the server's clock.
	TickClock Offset
}

// AccountStorage is the file storage of the account, in bytes. A Max below 0 is
// no limit.
type AccountStorage struct{ Used, Max int64 }

// Stream is one stream.
type Stream struct {
	Name string
	// Missing is set where JetStream says that there is none.
	Missing bool
	Err     string
	Config  jetstream.StreamConfig
	State   jetstream.StreamState
	// Behind names the replicas that are offline or not current.
	Behind []string
}

// Consumer is the consumer that the savers of a scope share.
type Consumer struct {
	Scope   events.Scope
	Name    string
	Missing bool
	Err     string
	Config  jetstream.ConsumerConfig
	Paused  bool
}

// Monitor is what the monitoring endpoint of one NATS server says.
type Monitor struct {
	URL    string
	Err    string
	Server string // its name
	// SyncInterval is how often it syncs what it has acknowledged to disk, where
	// it does not do so always.
	SyncInterval time.Duration
	SyncAlways   bool
	// Used and Max are file storage in bytes, on the whole server.
	Used, Max int64
	Clock     Offset
}

// Postgres is what PostgreSQL says.
type Postgres struct {
	Err     string
	Addr    string
	Version int // server_version_num, as in 150004
	// InRecovery is set on a standby.
	InRecovery bool
	ReadOnly   bool // default_transaction_read_only

	Fsync, FullPageWrites   bool
	SynchronousCommit       string
	SynchronousCommitSource string // as in pg_settings: "default", "user", "client" …
	// CommitOverrides are synchronous_commit of roles and databases, as in
	// "role saver: off".
	CommitOverrides []string
	SyncStandbys    string // synchronous_standby_names
	WALLevel        string
	ArchiveMode     string
	WALWriterDelay  time.Duration
	// Unlogged are tables that a crash empties.
	Unlogged []string

	// Connections are open; Slots are to be had by others than superusers.
	Connections, Slots int
	// PoolSize is how many one saver may open.
	PoolSize int

	// Schema is the database's version, and WantSchema that of this build. A
	// Schema of 0 is none.
	Schema, WantSchema int64
	// OldestTransaction is the age of the oldest that is open.
	OldestTransaction time.Duration
	OldestName        string
	Standbys          []Standby
	Clock             Offset
}

// Standby is a receiver of the WAL, of pg_stat_replication.
type Standby struct {
	Name, State, Sync string // as in "streaming", "async"
}

// Offset is how far another clock is ahead of this machine's: By, give or take
// Within. It is not Known where the clock could not be read.
type Offset struct {
	Known      bool
	By, Within time.Duration
}

// measured is the offset of a clock that showed at, asked at sent and answered
// at got by this machine: it was read somewhere between.
func measured(sent, at, got time.Time) Offset {
	half := got.Sub(sent) / 2
	return Offset{Known: true, By: at.Sub(sent.Add(half)), Within: half}
}

// AtLeast is how far the clocks are apart for certain.
func (o Offset) AtLeast() time.Duration {
	return max(0, o.By.Abs()-o.Within)
}
