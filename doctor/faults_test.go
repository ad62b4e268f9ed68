package doctor

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"
)

// table is what Faults says, as "hot | stream | cold" by fault.
func table(s Settings) map[string]string {
	cells := make(map[string]string)
	for _, f := range Faults(s) {
		cells[f.ID] = fmt.Sprintf("%s | %s | %s", f.Hot, f.Stream, f.Cold)
	}
	return cells
}

// ofOneServerEach is the table of alone: what most begin with.
var ofOneServerEach = map[string]string{
	"none":            "nothing | nothing | nothing",
	"redis-killed":    "2 s behind a slow disk | nothing | nothing",
	"redis-power":     "the last 2s | nothing | nothing",
	"redis-lost":      "what was not published | nothing | nothing",
	"nats-killed":     "nothing | nothing | nothing",
	"nats-power":      "nothing | nothing | nothing",
	"nats-lost":       "nothing | nothing | nothing",
	"postgres-killed": "nothing | nothing | nothing",
	"postgres-power":  "nothing | nothing | nothing",
	"postgres-lost":   "what is older than the stream | what is older than the stream | what is older than the stream",
}

// Each case says which lines differ from those of one server each.
func TestFaultsFollowTheSettings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Settings)
		differ map[string]string
	}{
		{"one server each", func(*Settings) {}, nil},
		{"redis syncs always", func(s *Settings) { s.Redis.Nodes[0].AppendFsync = "always" }, map[string]string{
			"redis-killed": "nothing | nothing | nothing",
			"redis-power":  "nothing | nothing | nothing",
		}},
		{"redis never syncs", func(s *Settings) { s.Redis.Nodes[0].AppendFsync = "no" }, map[string]string{
			"redis-killed": "nothing | nothing | nothing",
			"redis-power":  "the last 30s | nothing | nothing",
		}},
		{"redis keeps nothing", func(s *Settings) { s.Redis.Nodes[0].AppendOnly = false }, map[string]string{
			"redis-killed": "what was not published | nothing | nothing",
			"redis-power":  "what was not published | nothing | nothing",
		}},
		{"redis makes snapshots", func(s *Settings) { s.Redis.Nodes[0].AppendOnly, s.Redis.Nodes[0].Save = false, "3600 1 300 100" }, map[string]string{
			"redis-killed": "the last 1h | nothing | nothing",
			"redis-power":  "the last 1h | nothing | nothing",
		}},
		{"redis says no settings", func(s *Settings) { s.Redis.Nodes[0].AppendFsync, s.Redis.Nodes[0].ConfigErr = "", "NOPERM" }, map[string]string{
			"redis-killed": "unknown | nothing | nothing",
			"redis-power":  "unknown | nothing | nothing",
		}},
		{"redis evicts", func(s *Settings) { s.Redis.Nodes[0].Policy = "allkeys-lru" }, map[string]string{
			// The stream has it too, so both have to fail.
			"none":         "all that is not saved | nothing | nothing",
			"redis-killed": "what was not published | nothing | nothing",
			"redis-power":  "what was not published | nothing | nothing",
			"nats-killed":  "all that is not saved | nothing | nothing",
			"nats-power":   "all that is not saved | the last 1s | nothing",
			"nats-lost":    "all that is not saved | all that is not saved | nothing",
		}},
		{"a replica takes over", func(s *Settings) { s.Redis.Nodes[0].Replicas = []RedisReplica{{}} }, map[string]string{
			"redis-killed": "what the replica lacks | nothing | nothing",
			"redis-power":  "what the replica lacks | nothing | nothing",
		}},
		{"the stream discards", func(s *Settings) { s.NATS.Changes.Config.Discard = jetstream.DiscardOld }, map[string]string{
			"redis-killed": "2 s behind a slow disk | 2 s behind a slow disk | nothing",
			"redis-power":  "the last 2s | the last 2s | nothing",
			"redis-lost":   "all that is not saved | all that is not saved | nothing",
		}},
		{"the stream is in memory", func(s *Settings) { s.NATS.Changes.Config.Storage = jetstream.MemoryStorage }, nil},
		{"redis is down", func(s *Settings) { s.Redis = Redis{Err: "refused"} }, map[string]string{
			"none":         "unknown | nothing | nothing",
			"redis-killed": "unknown | nothing | nothing",
			"redis-power":  "unknown | nothing | nothing",
			"nats-killed":  "unknown | nothing | nothing",
			"nats-power":   "unknown | at most the last 1s | nothing", // at most what NATS loses
			"nats-lost":    "unknown | unknown | nothing",
		}},
		{"nats is down", func(s *Settings) { s.NATS = NATS{Err: "refused"} }, map[string]string{
			"redis-killed":  "2 s behind a slow disk | at most 2 s behind a slow disk | nothing",
			"redis-power":   "the last 2s | at most the last 2s | nothing",
			"redis-lost":    "what was not published | unknown | nothing",
			"postgres-lost": "unknown | unknown | unknown",
		}},
		{"postgres is down", func(s *Settings) { s.Postgres = Postgres{Err: "refused"} }, map[string]string{
			"postgres-killed": "unknown | unknown | unknown",
			"postgres-power":  "unknown | unknown | unknown",
		}},
		{"postgres answers early", func(s *Settings) { s.Postgres.SynchronousCommit = "off" }, map[string]string{
			"postgres-killed": "the last 600ms | the last 600ms | the last 600ms",
			"postgres-power":  "the last 600ms | the last 600ms | the last 600ms",
		}},
		{"postgres does not sync", func(s *Settings) { s.Postgres.Fsync = false }, map[string]string{
			"postgres-power": "anything | anything | anything",
		}},
		{"a standby has every commit", func(s *Settings) { s.Postgres.Standbys = []Standby{{Sync: "sync"}} }, map[string]string{
			"postgres-lost": "nothing | nothing | nothing",
		}},
		{"a standby, and commits that do not wait for it", func(s *Settings) {
			s.Postgres.Standbys, s.Postgres.SynchronousCommit = []Standby{{Sync: "sync"}}, "local"
		}, nil},
		{"all on one machine", func(s *Settings) { s.Shared = []string{partRedis, partNATS, partPostgres} }, map[string]string{
			"shared-power": "the last 2s | the last 1s | nothing",
		}},
		{"all on one machine, default sync", func(s *Settings) {
			s.Shared = []string{partRedis, partNATS}
			s.NATS.Monitors[0].SyncInterval = 2 * time.Minute
		}, map[string]string{
			"shared-power": "the last 2s | the last 2s | nothing",
		}},
		{"all on one machine, sync not known", func(s *Settings) {
			s.Shared, s.NATS.Monitors = []string{partRedis, partNATS}, nil
		}, map[string]string{
			"shared-power": "the last 2s | at most the last 2s | nothing",
		}},
		{"redis and nats on one machine of three", func(s *Settings) {
			s.Shared, s.NATS.Changes.Config.Replicas = []string{partRedis, partNATS}, 3
		}, map[string]string{
			"shared-power": "the last 2s | nothing | nothing",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := alone()
			c.change(&s)
			want := maps.Clone(ofOneServerEach)
			maps.Copy(want, c.differ)
			if diff := cmp.Diff(want, table(s)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The exit code counts critical findings; the table must never say worse.
func TestABrokenPromiseIsCritical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSettings(t)
		report := Judge(s)
		if report.Count(Critical) > 0 {
			return
		}
		for _, f := range report.Faults {
			if f.Promised && (f.Stream.Certain() || f.Cold.Certain()) {
				t.Fatalf("%s loses %s of stream, %s of cold, and nothing is critical", f.Name, f.Stream, f.Cold)
			}
		}
	})
}

// An event has two copies, so it cannot be in more danger than a change that
// has one, unless PostgreSQL itself forgets.
func TestStreamLosesNoMoreThanHot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, f := range Faults(drawSettings(t)) {
			if f.Hot.Nothing() && !f.Stream.Nothing() || f.Hot.Certain() && f.Stream.Certain() && f.Stream.Window > f.Hot.Window {
				t.Fatalf("%s: hot loses %s, stream %s", f.Name, f.Hot, f.Stream)
			}
		}
	})
}

// drawSettings spoils a system here and there.
func drawSettings(t *rapid.T) Settings {
	s := rapid.SampledFrom([]func() Settings{sound, alone}).Draw(t, "from")()
	spoil := func(name string, how func()) {
		if rapid.IntRange(0, 3).Draw(t, name) == 0 {
			how()
		}
	}
	node, changes := &s.Redis.Nodes[0], &s.NATS.Changes.Config
	spoil("aof off", func() { node.AppendOnly = false })
	spoil("fsync", func() { node.AppendFsync = rapid.SampledFrom([]string{"always", "no", ""}).Draw(t, "policy") })
	spoil("evict", func() { node.Policy = "allkeys-random" })
	spoil("redis down", func() { s.Redis = Redis{Err: "down"} })
	spoil("memory", func() { changes.Storage = jetstream.MemoryStorage })
	spoil("discard", func() { changes.Discard = jetstream.DiscardOld })
	spoil("limit", func() { changes.MaxMsgs = 10 })
	spoil("monitor", func() { s.NATS.Monitors = nil })
	spoil("nats down", func() { s.NATS = NATS{Err: "down"} })
	spoil("missing", func() { s.NATS.Changes = Stream{Name: "SYNC", Missing: true} })
	spoil("commit", func() { s.Postgres.SynchronousCommit = "off" })
	spoil("fsync off", func() { s.Postgres.Fsync = false })
	spoil("torn", func() { s.Postgres.FullPageWrites = false })
	spoil("unlogged", func() { s.Postgres.Unlogged = []string{"items"} })
	spoil("shared", func() { s.Shared = []string{partRedis, partNATS, partPostgres} })
	return s
}

func TestSharedMachinesAreFoundByTheirAddresses(t *testing.T) {
	for _, c := range []struct {
		redis, nats, postgres string
		want                  []string
	}{
		{"redis://a:1/0", "nats://b:2", "postgres://c/x", nil},
		{"redis://localhost:1", "nats://127.0.0.1:2", "postgres:///x?host=/run", []string{partRedis, partNATS, partPostgres}},
		{"redis://user:pw@A:1,redis://b:1", "c:4222,b:4222", "postgres://d/x", []string{partRedis, partNATS}},
		{"rediss+cluster://a:1?addr=db:2", "nats://n:1", "postgres://db/x", []string{partRedis, partPostgres}},
	} {
		got := shared(Config{RedisURL: c.redis, NATSURL: c.nats, DatabaseURL: c.postgres})
		if !slices.Equal(got, c.want) {
			t.Errorf("%s, %s, %s: %v, want %v", c.redis, c.nats, c.postgres, got, c.want)
		}
	}
}
