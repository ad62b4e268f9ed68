package doctor

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
)

var update = flag.Bool("update", false, "write the golden files")

// A system with something wrong in each part prints as it always did.
func TestReportPrintsAsInTheGoldenFile(t *testing.T) {
	s := alone()
	s.Shared = []string{partRedis, partNATS}
	s.Redis.Nodes[0].Policy, s.Redis.Nodes[0].MaxMemory = "allkeys-lru", 512<<20
	s.NATS.Changes.Config.Discard = jetstream.DiscardOld
	s.NATS.OldestUnsaved = at.Add(-3 * time.Hour)
	s.NATS.Monitors[0].SyncInterval = 2 * time.Minute
	s.NATS.Dead.State.Msgs = 2
	s.Postgres.SynchronousCommit, s.Postgres.SynchronousCommitSource = "off", "database"
	s.Postgres.Clock.By = -1500 * time.Millisecond
	s.Redis.Nodes = append(s.Redis.Nodes, RedisNode{Addr: "redis-3:6379", Err: "connection refused"})
	s.Redis.Cluster, s.Redis.ClusterState = true, "fail"
	var out bytes.Buffer
	if err := Judge(s).Print(&out); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/report.txt"
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("the report differs from %s (go test -update writes it):\n%s", file, diff)
	}
}

func TestReportIsReadByMachines(t *testing.T) {
	s := alone()
	s.Redis.Nodes[0].Policy = "allkeys-lru"
	var out bytes.Buffer
	if err := Judge(s).JSON(&out); err != nil {
		t.Fatal(err)
	}
	type cell struct {
		Text    string
		Seconds *float64
	}
	var got struct {
		Faults []struct {
			ID        string
			Hot, Cold cell
			Promised  bool
		}
		Findings []struct{ Severity, Part, Found, Risk, Fix string }
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	first := got.Faults[0]
	if first.ID != "none" || !first.Promised || first.Hot.Seconds != nil || first.Cold.Seconds == nil || *first.Cold.Seconds != 0 {
		t.Errorf("the first fault is %+v, want no bound for hot and 0 s for cold", first)
	}
	if f := got.Findings[0]; f.Severity != "critical" || f.Part != "redis" || f.Fix == "" {
		t.Errorf("the first finding is %+v", f)
	}
}

func TestDurationsAndSizesAreShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 600 * time.Millisecond: "600ms", 2*time.Minute + 300*time.Millisecond: "2m", 168 * time.Hour: "168h",
		90*time.Minute + 3*time.Second: "1h30m", 1234 * time.Microsecond: "1.2ms", -1500 * time.Millisecond: "-1.5s",
	} {
		if got := short(d); got != want {
			t.Errorf("short(%d) is %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1 << 20: "1 MiB", 1536 << 20: "1.5 GiB", -1: "unlimited"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) is %q, want %q", n, got, want)
		}
	}
}
