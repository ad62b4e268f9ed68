package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Report is what the doctor says.
type Report struct {
	Parts    []Part    `json:"parts"`
	Faults   []Fault   `json:"faults"`
	Findings []Finding `json:"findings"` // worst first
}

// Part says in one line what was read.
type Part struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
}

// Judge says what the settings mean.
func Judge(s Settings) Report {
	all := slices.Concat(judgeRedis(s.Redis), judgeNATS(s.NATS, s.Now), judgePostgres(s.Postgres), judgeClocks(s), judgeShared(s))
	order := map[Severity]int{Critical: 0, Warning: 1, Note: 2}
	slices.SortStableFunc(all, func(a, b Finding) int { return cmp.Compare(order[a.Severity], order[b.Severity]) })
	return Report{Parts: parts(s), Faults: Faults(s), Findings: all}
}

// Count is how many findings are of a severity.
func (r Report) Count(of Severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == of {
			n++
		}
	}
	return n
}

// judgeShared warns where one power cut takes both copies.
func judgeShared(s Settings) []Finding {
	if !slices.Contains(s.Shared, partRedis) || !slices.Contains(s.Shared, partNATS) {
		return nil
	}
	f := &findings{part: partRedis}
	for _, row := range s.sharedPower() {
		if !row.Stream.Nothing() {
			f.add(Warning, "Redis and NATS run on one machine", "it loses power: both copies of what is not saved; of what was answered stream: "+row.Stream.String(), "a machine each; or appendfsync always and sync_interval: always")
		}
	}
	return f.list
}

func parts(s Settings) (list []Part) {
	for i, n := range s.Redis.Nodes {
		name := partRedis
		if i > 0 {
			name = ""
		}
		list = append(list, Part{name, n.summary()})
	}
	if s.Redis.Err != "" {
		list = append(list, Part{partRedis, "not read"})
	}
	list = append(list, Part{partNATS, s.NATS.summary()}, Part{partPostgres, s.Postgres.summary()})
	name := partClocks
	for _, c := range clocks(s) {
		list = append(list, Part{name, c.name + " " + c.Offset.String()})
		name = ""
	}
	return list
}

func (n RedisNode) summary() string {
	if n.Err != "" {
		return n.Addr + " not read"
	}
	persists := "appendonly no"
	if n.AppendOnly {
		persists = "appendonly yes, appendfsync " + cmp.Or(n.AppendFsync, "unknown")
	}
	return fmt.Sprintf("%s %s, %s, %s, %s, replicas %d", n.Addr, n.Version, n.Role, persists, n.Policy, len(n.Replicas))
}

func (n NATS) summary() string {
	if n.Err != "" {
		return "not read"
	}
	line := []string{n.Addr + " " + n.Version}
	if s := n.Changes; s.read() {
		line = append(line, fmt.Sprintf("SYNC in %s, R%d, %s of %s, max age %s",
			strings.ToLower(s.Config.Storage.String()), s.Config.Replicas, size(int64(s.State.Bytes)), size(s.Config.MaxBytes), short(s.Config.MaxAge)))
	}
	interval, always, known := n.syncs()
	switch {
	case !known:
		line = append(line, "sync_interval not read")
	case always:
		line = append(line, "sync_interval always")
	default:
		line = append(line, "sync_interval "+short(interval))
	}
	return strings.Join(line, ", ")
}

func (p Postgres) summary() string {
	if p.Err != "" {
		return "not read"
	}
	return fmt.Sprintf("%s %s, fsync %s, synchronous_commit %s, full_page_writes %s, schema %d of %d, %d of %d connections, standbys %d",
		p.Addr, p.version(), onOff(p.Fsync), p.SynchronousCommit, onOff(p.FullPageWrites), p.Schema, p.WantSchema, p.Connections, p.Slots, len(p.Standbys))
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}
