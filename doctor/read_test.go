package doctor

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// redisClient speaks to a server as its operator would.
func redisClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func do(t *testing.T, client *redis.Client, args ...any) {
	t.Helper()
	if err := client.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

func oneNode(t *testing.T, url string) RedisNode {
	t.Helper()
	r := readRedis(t.Context(), url)
	if r.Err != "" || len(r.Nodes) != 1 || r.Nodes[0].Err != "" {
		t.Fatalf("read %+v, want one server", r)
	}
	return r.Nodes[0]
}

func TestRedisIsReadAsItIsSetNow(t *testing.T) {
	server := stacktest.OwnRedis(t)
	before := oneNode(t, server.URL())
	if !before.AppendOnly || before.AppendFsync != "everysec" || before.Policy != "noeviction" || before.Role != "master" || before.AOFLastWrite != "ok" {
		t.Errorf("read %+v, want what the server was started with", before)
	}
	if !before.Clock.Known || before.Clock.AtLeast() > 0 {
		t.Errorf("clock %+v of this same machine", before.Clock)
	}

	client := redisClient(t, server.URL())
	for name, value := range map[string]string{
		"appendfsync": "no", "appendonly": "no", "save": "600 1", "maxmemory": "100mb", "maxmemory-policy": "allkeys-lru",
		"aof-load-truncated": "no", "min-replicas-to-write": "1", "min-replicas-max-lag": "7",
	} {
		do(t, client, "CONFIG", "SET", name, value)
	}

	got := oneNode(t, server.URL())
	got.Clock, got.UsedMemory = Offset{}, 0
	want := RedisNode{
		Addr: server.Addr(), Version: before.Version, Role: "master", AppendFsync: "no", Save: "600 1", LoadTruncated: "no",
		MinReplicas: 1, MinReplicaLag: 7 * time.Second, MaxMemory: 100 << 20, Policy: "allkeys-lru", RDBLastSave: "ok",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("read %+v\nwant %+v", got, want)
	}
}

func TestReplicaIsToldFromItsMaster(t *testing.T) {
	master, replica := stacktest.OwnRedis(t), stacktest.OwnRedis(t)
	do(t, redisClient(t, replica.URL()), "REPLICAOF", "127.0.0.1", master.Port())
	var n RedisNode
	stacktest.Eventually(t, "the master has its replica online", func() bool {
		n = oneNode(t, master.URL())
		return len(n.Replicas) == 1 && n.Replicas[0].State == "online"
	})
	if want := fmt.Sprintf("127.0.0.1:%d", replica.Port()); n.Role != "master" || n.Replicas[0].Addr != want {
		t.Errorf("read %+v, want a master with replica %s", n, want)
	}
	if n := oneNode(t, replica.URL()); n.Role != "slave" {
		t.Errorf("the replica's role is %q", n.Role)
	}
}

// Managed services forbid CONFIG. What INFO tells is judged all the same.
func TestForbiddenConfigIsSaid(t *testing.T) {
	server := stacktest.OwnRedis(t)
	do(t, redisClient(t, server.URL()), "ACL", "SETUSER", "guest", "on", ">secret", "~*", "+@all", "-config")
	do(t, redisClient(t, server.URL()), "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

	n := oneNode(t, strings.Replace(server.URL(), "redis://", "redis://guest:secret@", 1))

	if !strings.Contains(n.ConfigErr, "NOPERM") || n.AppendFsync != "" {
		t.Errorf("read %+v, want that CONFIG is forbidden", n)
	}
	if !n.AppendOnly || n.Policy != "allkeys-lru" {
		t.Errorf("read %+v, want what INFO tells", n)
	}
}

func TestEveryMasterOfAClusterIsAsked(t *testing.T) {
	cluster := stacktest.RedisCluster(t)
	r := readRedis(t.Context(), cluster.URL())
	if r.Err != "" || !r.Cluster || r.ClusterState != "ok" || len(r.Nodes) != len(cluster.Nodes) {
		t.Fatalf("read %+v, want %d masters and state ok", r, len(cluster.Nodes))
	}
	for _, n := range r.Nodes {
		if n.Err != "" || !n.InCluster || n.AppendFsync != "everysec" {
			t.Errorf("read %+v", n)
		}
	}
	// By a URL that does not say that it is one.
	if n := oneNode(t, cluster.Nodes[0].URL()); !n.InCluster {
		t.Error("a node does not say that it is in a cluster")
	}
}

// topology makes the streams of a deployment.
func topology(t *testing.T, url string, want bus.Topology) jetstream.JetStream {
	t.Helper()
	b, err := bus.Connect(url, t.Name(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	if err := b.Ensure(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(b.Conn())
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestStreamsAsSaversMakeThemAreSound(t *testing.T) {
	server := stacktest.NATS(t)
	topology(t, server.URL(), bus.Topology{CleanupEvery: time.Second})
	var n NATS
	stacktest.Eventually(t, "the schedule ticks", func() bool {
		n = readNATS(t.Context(), Config{NATSURL: server.URL()})
		return !n.LastTick.IsZero()
	})
	if n.TickEvery != time.Second || !n.TickClock.Known {
		t.Errorf("the schedule is armed for %s, clock %+v", n.TickEvery, n.TickClock)
	}
	if len(n.Consumers) != len(events.Scopes())+1 {
		t.Errorf("read %d consumers", len(n.Consumers))
	}
	for _, f := range judgeNATS(n, time.Now()) {
		if f.Severity != Note {
			t.Errorf("%s: %s", f.Severity, f.Found)
		}
	}
}

func TestNATSIsReadAsItIsSetNow(t *testing.T) {
	server := stacktest.NATS(t)
	js := topology(t, server.URL(), bus.Topology{MaxAge: time.Hour, MaxBytes: 1 << 20, CleanupEvery: time.Hour})
	changes, err := js.Stream(t.Context(), bus.StreamChanges)
	if err != nil {
		t.Fatal(err)
	}
	cfg := changes.CachedInfo().Config
	cfg.Discard, cfg.MaxMsgsPerSubject = jetstream.DiscardOld, 3
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	ack, err := js.Publish(t.Context(), "sync.vitals.42", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.PauseConsumer(t.Context(), bus.StreamChanges, bus.ConsumerName(events.ScopeVitals), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}

	n := readNATS(t.Context(), Config{NATSURL: server.URL()})

	if got := drops(n.Changes.Config); len(got) != 2 {
		t.Errorf("the stream drops by %v, want two settings", got)
	}
	if n.Changes.Config.MaxAge != time.Hour || n.Changes.Config.MaxBytes != 1<<20 || n.Changes.State.LastSeq != ack.Sequence {
		t.Errorf("read %+v", n.Changes)
	}
	if n.OldestUnsaved.IsZero() || time.Since(n.OldestUnsaved) > time.Minute {
		t.Errorf("the oldest unsaved event is of %s, want that of a moment ago", n.OldestUnsaved)
	}
	for _, c := range n.Consumers {
		if c.Paused != (c.Scope == events.ScopeVitals) || c.Config.MaxDeliver != -1 {
			t.Errorf("read %+v", c)
		}
	}
	if len(n.Monitors) != 0 {
		t.Errorf("monitors %+v that nobody named", n.Monitors)
	}
}

func TestAServerWithoutStreamsSaysSo(t *testing.T) {
	n := readNATS(t.Context(), Config{NATSURL: stacktest.NATS(t).URL()})
	if n.Err != "" || n.JetStreamErr != "" || !n.Changes.Missing || !n.Mirror.Missing {
		t.Errorf("read %+v, want that there are no streams", n)
	}
}

func TestSyncIntervalComesFromTheMonitoringEndpoint(t *testing.T) {
	for setting, want := range map[string]Monitor{
		`sync_interval: "3s"`:   {SyncInterval: 3 * time.Second},
		`sync_interval: always`: {SyncAlways: true},
		``:                      {SyncInterval: 2 * time.Minute},
	} {
		t.Run(setting, func(t *testing.T) {
			url, server := monitored(t, setting)
			n := readNATS(t.Context(), Config{NATSURL: server.URL(), MonitorURLs: []string{url}})
			got := n.Monitors[0]
			if got.Err != "" || got.SyncAlways != want.SyncAlways || !want.SyncAlways && got.SyncInterval != want.SyncInterval {
				t.Errorf("read %+v, want %+v", got, want)
			}
			if got.Server != "watched" || got.Max != 1<<30 || !got.Clock.Known || got.Clock.AtLeast() > time.Second {
				t.Errorf("read %+v", got)
			}
		})
	}
	t.Run("something else", func(t *testing.T) {
		other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") }))
		defer other.Close()
		m := readMonitor(t.Context(), strings.Replace(other.URL, "http://", "http://watcher:hush@", 1))
		if m.Err == "" || strings.Contains(m.Err, "hush") {
			t.Errorf("read %+v from what is no server", m)
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		if m := readMonitor(t.Context(), "http://"+refusing(t)); m.Err == "" {
			t.Errorf("read %+v from nobody", m)
		}
	})
}

// monitored is a server with a monitoring endpoint.
func monitored(t *testing.T, setting string) (url string, server *stack.NATS) {
	t.Helper()
	dir := t.TempDir()
	addr := refusing(t)
	conf := fmt.Sprintf("server_name: watched\nhttp: %q\njetstream { store_dir: %q, max_file: 1GiB, max_mem: 1MiB\n%s\n}\n", addr, filepath.Join(dir, "data"), setting)
	file := filepath.Join(dir, "nats.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	return "http://" + addr, stacktest.RestartNATS(t, stack.NATSConfig{ConfigFile: file, Port: -1})
}

// refusing is an address where nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// silent is an address that takes connections and never says a word.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

func execute(t *testing.T, url, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func TestPostgresAsMadeIsSound(t *testing.T) {
	t.Parallel()
	p := readPostgres(t.Context(), Config{DatabaseURL: stacktest.Database(t)})
	for _, f := range judgePostgres(p) {
		if f.Severity != Note {
			t.Errorf("%s: %s", f.Severity, f.Found)
		}
	}
	if p.Schema != p.WantSchema || p.Schema == 0 || p.Version < 150000 || p.Slots == 0 || !p.Clock.Known {
		t.Errorf("read %+v", p)
	}
}

func TestPostgresIsReadAsItIsSetForTheSession(t *testing.T) {
	t.Parallel()
	url := stacktest.Database(t)
	execute(t, url, `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
	execute(t, url, `ALTER TABLE items SET UNLOGGED`)
	// Somebody forgot to end a transaction.
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), "SET application_name = 'forgetful'; BEGIN; SELECT 1"); err != nil {
		t.Fatal(err)
	}

	p := readPostgres(t.Context(), Config{DatabaseURL: url})

	if p.Err != "" || p.SynchronousCommit != "off" || p.SynchronousCommitSource != "database" || len(p.CommitOverrides) != 1 {
		t.Errorf("read %+v, want what the database sets", p)
	}
	if len(p.Unlogged) != 1 || p.Unlogged[0] != "items" {
		t.Errorf("unlogged %v, want items", p.Unlogged)
	}
	if p.OldestTransaction <= 0 || !strings.Contains(p.OldestName, "forgetful") {
		t.Errorf("the oldest transaction is %q, %s", p.OldestName, p.OldestTransaction)
	}
}

func TestADatabaseWithoutSchemaIsRead(t *testing.T) {
	t.Parallel()
	p := readPostgres(t.Context(), Config{DatabaseURL: stacktest.EmptyDatabase(t)})
	if p.Err != "" || p.Schema != 0 || p.WantSchema == 0 {
		t.Errorf("read %+v, want schema 0", p)
	}
}

func TestAStandbyWithoutSyncIsRead(t *testing.T) {
	t.Parallel()
	server := stacktest.OwnPostgres(t)
	if err := server.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(server.Dir(), "data", "standby.signal"), nil, 0o644); err != nil { //nolint:gosec // the server's user reads it
		t.Fatal(err)
	}
	cfg := server.Config()
	cfg.Settings = map[string]string{"fsync": "off", "full_page_writes": "off", "wal_writer_delay": "10ms"}
	server = stacktest.RestartPostgres(t, cfg)

	p := readPostgres(t.Context(), Config{DatabaseURL: server.URL()})

	if p.Err != "" || !p.InRecovery || p.Fsync || p.FullPageWrites || p.WALWriterDelay != 10*time.Millisecond {
		t.Errorf("read %+v, want a standby that does not sync", p)
	}
}

// Whoever is down is named, and the others are read all the same.
func TestOnePartDownDoesNotHideTheOthers(t *testing.T) {
	up := func(t *testing.T) Config {
		return Config{NATSURL: stacktest.NATS(t).URL(), RedisURL: stacktest.Redis(t), DatabaseURL: stacktest.Database(t)}
	}
	for down, spoil := range map[string]func(*Config){
		partRedis:    func(c *Config) { c.RedisURL = "redis://" + refusing(t) },
		partNATS:     func(c *Config) { c.NATSURL = "nats://" + refusing(t) },
		partPostgres: func(c *Config) { c.DatabaseURL = "postgres://" + refusing(t) + "/x?sslmode=disable" },
	} {
		t.Run(down, func(t *testing.T) {
			cfg := up(t)
			spoil(&cfg)
			s := Read(t.Context(), cfg)
			for part, err := range map[string]string{partRedis: s.Redis.Err, partNATS: s.NATS.Err, partPostgres: s.Postgres.Err} {
				if (err != "") != (part == down) {
					t.Errorf("%s: %q", part, err)
				}
			}
			if r := Judge(s); r.Count(Critical) == 0 {
				t.Errorf("findings %+v, want that %s is down", r.Findings, down)
			}
		})
	}
}

// Servers that hang are worse than those that are down: nothing may wait for
// them beyond the deadline.
func TestReadEndsThoughNobodyAnswers(t *testing.T) {
	const patience = 30 * time.Second
	done := make(chan Settings, 1)
	cfg := Config{
		NATSURL: "nats://" + silent(t) + "," + silent(t), RedisURL: "redis://" + silent(t), DatabaseURL: "postgres://" + silent(t) + "/x?sslmode=disable",
		MonitorURLs: []string{"http://" + silent(t)}, Timeout: time.Second,
	}
	go func() { done <- Read(t.Context(), cfg) }()
	select {
	case s := <-done:
		if s.Redis.Err == "" || s.NATS.Err == "" || s.Postgres.Err == "" || s.NATS.Monitors[0].Err == "" {
			t.Errorf("read %+v from servers that are silent", s)
		}
	case <-time.After(patience):
		t.Fatal("read waits for servers that are silent")
	}
}
