package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// machine is a whole system as `make run` starts it: the real programs, built
// from this tree.
type machine struct {
	t       *testing.T
	bin     string
	dir     string
	gateway string
	nats    string
	admin   []string // of the gateway and the savers
	env     []string // beside what all have
	command *exec.Cmd
	out     *lockedBuffer
}

// lockedBuffer is written by a program and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startMachine(t *testing.T, env ...string) *machine {
	t.Helper()
	// Not t.TempDir: PostgreSQL's own user must be able to enter.
	dir, err := os.MkdirTemp("", "sp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // see above
		t.Fatal(err)
	}
	m := &machine{t: t, bin: filepath.Join(dir, "bin"), env: env}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", m.bin+"/", "./cmd/...")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = m.stop() })
	// Another test may take a port between our look and the start.
	for try := 1; ; try++ {
		m.dir = filepath.Join(dir, fmt.Sprint("data", try))
		if m.start(); m.awaitUp() {
			return m
		}
		_ = m.stop()
		if try == 3 || !strings.Contains(m.out.String(), "address already in use") {
			t.Fatalf("it does not come up:\n%s", m.out)
		}
	}
}

// start runs the program on addresses that are free now.
func (m *machine) start() {
	m.t.Helper()
	addrs, err := stack.FreeAddrs(7)
	if err != nil {
		m.t.Fatal(err)
	}
	port := func(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
	m.out, m.gateway, m.nats, m.admin = &lockedBuffer{}, addrs[0], "nats://"+addrs[1], addrs[2:5]
	m.command = exec.Command(filepath.Join(m.bin, "savepoint"), "run")
	m.command.Env = append(append(os.Environ(), m.env...),
		"DATA_DIR="+m.dir, "NATS_CONF=../../nats.conf", "NATS_ADDR="+addrs[1], "GATEWAY_ADDR="+addrs[0],
		"ADMIN_ADDR="+addrs[2], "SAVER_ADMIN_ADDRS="+addrs[3]+","+addrs[4],
		"POSTGRES_PORT="+port(addrs[5]), "REDIS_PORT="+port(addrs[6]))
	m.command.Stdout, m.command.Stderr = m.out, m.out
	if err := m.command.Start(); err != nil {
		m.t.Fatal(err)
	}
}

// awaitUp returns false where the program says that it cannot.
func (m *machine) awaitUp() (up bool) {
	m.t.Helper()
	m.eventually("it is up, or says why not", func() bool {
		text := m.out.String()
		up = strings.Contains(text, "Savepoint is up")
		return up || strings.Contains(text, "does not stay up") || strings.Contains(text, "already in use")
	})
	return up
}

// stop sends SIGTERM and returns what the program exits with.
func (m *machine) stop() error {
	if m.command.ProcessState != nil {
		return nil
	}
	_ = m.command.Process.Signal(syscall.SIGTERM)
	return m.command.Wait()
}

func (m *machine) eventually(what string, ok func() bool) {
	m.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			m.t.Fatalf("never: %s\n%s", what, m.out)
		}
		time.Sleep(20 * time.Millisecond) // polling; the condition decides
	}
}

func (m *machine) do(method, path, body string) (int, string, error) {
	return m.ask(method, m.gateway+path, body)
}

func (m *machine) ask(method, address, body string) (int, string, error) {
	request, err := http.NewRequestWithContext(m.t.Context(), method, "http://"+address, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// saver runs a command of the saver against the machine.
func (m *machine) saver(args ...string) (string, error) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), 2*time.Minute)
	defer cancel()
	line := "set -a; . " + filepath.Join(m.dir, "env") + "; exec " + filepath.Join(m.bin, "saver") + " " + strings.Join(args, " ")
	out, err := exec.CommandContext(ctx, "sh", "-c", line).CombinedOutput()
	return string(out), err
}

// children lists the processes below the machine by name.
func (m *machine) children() map[int]string {
	m.t.Helper()
	out := make(map[int]string)
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		m.t.Fatal(err)
	}
	fields := regexp.MustCompile(`^(\d+) \((.*)\) (\S) (\d+) `)
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		found := fields.FindStringSubmatch(string(text))
		if len(found) == 5 && found[4] == strconv.Itoa(m.command.Process.Pid) && found[3] != "Z" {
			pid, _ := strconv.Atoi(found[1])
			out[pid] = found[2]
		}
	}
	return out
}

// TestMakeRunSavesWhatIsPlayedAndRestartsAKilledSaver is what a person does first: start everything, act, look at the
// saved row, kill a saver, play a little, compare hot with cold, stop.
func TestMakeRunSavesWhatIsPlayedAndRestartsAKilledSaver(t *testing.T) {
	traces := newCollector(t)
	m := startMachine(t, "OTEL_EXPORTER_OTLP_ENDPOINT="+traces.URL, "OTEL_BSP_SCHEDULE_DELAY=50")
	status, body, err := m.do("PUT", "/v1/characters/42/vitals?durability=cold", `{"hp":80,"energy":55,"location":{"zone":"harbor","x":1.5,"y":-2}}`)
	if err != nil || status != 200 || !strings.Contains(body, `"durability":"cold"`) {
		t.Fatalf("first action: %d %s %v", status, body, err)
	}
	if status, body, err = m.do("GET", "/v1/characters/42?from=cold", ""); err != nil || status != 200 || !strings.Contains(body, `"zone":"harbor"`) {
		t.Errorf("from PostgreSQL: %d %s %v", status, body, err)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body, err := m.do("GET", path, ""); err != nil || status != 200 {
			t.Errorf("%s: %d %s %v", path, status, body, err)
		}
	}
	m.wantConsole()
	m.wantOneTrace(traces)

	killed := 0
	for pid, name := range m.children() {
		if name == "saver" && killed == 0 {
			killed = pid
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	if killed == 0 {
		t.Fatalf("no saver among %v", m.children())
	}
	demo := exec.CommandContext(t.Context(), filepath.Join(m.bin, "savepoint"), "demo", "--for", "2s", "--characters", "50")
	demo.Env = append(os.Environ(), "GATEWAY_ADDR="+m.gateway)
	if out, err := demo.CombinedOutput(); err != nil || !strings.Contains(string(out), "errors 0") {
		t.Errorf("demo: %v\n%s", err, out)
	}
	if out, err := m.saver("verify"); err != nil || !strings.Contains(out, "all equal") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	m.eventually("the killed saver is replaced", func() bool {
		savers := 0
		for pid, name := range m.children() {
			if name == "saver" && pid != killed {
				savers++
			}
		}
		return savers == 2
	})
	m.wantStatus()
	m.wantWatchedMetrics()
	m.wantReplayToRebuild()
	m.wantDeadLetters()
	m.wantVerifyToFail()

	pids := m.children()
	if err := m.stop(); err != nil {
		t.Errorf("SIGTERM: %v\n%s", err, m.out)
	}
	for pid, name := range pids {
		if syscall.Kill(pid, 0) == nil && !isZombie(pid) {
			t.Errorf("%s (pid %d) is left running", name, pid)
		}
	}
	if _, err := os.Stat(filepath.Join(m.dir, "env")); err == nil {
		t.Error("the env file is left")
	}
}

func isZombie(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(text), ") Z ")
}

// wantConsole looks at the console, and at what is beside it.
func (m *machine) wantConsole() {
	m.t.Helper()
	if line := "console     http://" + m.admin[0] + "/console\n"; !strings.Contains(m.out.String(), line) {
		m.t.Errorf("no %q in\n%s", line, m.out)
	}
	for path, want := range map[string]string{
		"/": "Dead letters", "/console": "Dead letters", "/console/characters/42": "harbor",
		"/healthz": "ok\n", "/readyz": `"ready":true`, "/metrics": "savepoint_gateway_", "/debug/pprof/": "goroutine",
	} {
		if status, body, err := m.ask("GET", m.admin[0]+path, ""); err != nil || status != 200 || !strings.Contains(body, want) {
			m.t.Errorf("%s: %d %v\n%s", path, status, err, body)
		}
	}
}

func (m *machine) wantStatus() {
	m.t.Helper()
	out, err := m.saver("status", "--json")
	var status struct {
		Scopes []struct {
			Scope string
			Dead  int
		}
		Dirty *struct{ Characters int }
	}
	if err != nil || json.Unmarshal([]byte(out), &status) != nil || len(status.Scopes) != 4 || status.Dirty == nil || status.Dirty.Characters != 0 {
		m.t.Errorf("status: %v\n%s", err, out)
	}
}

// wantReplayToRebuild loses the database and rebuilds it from the stream.
func (m *machine) wantReplayToRebuild() {
	m.t.Helper()
	m.psql("TRUNCATE character_vitals, character_progress, items, combat_history, scenario_progress")
	if out, err := m.saver("verify", "--wait", "0s"); err == nil {
		m.t.Errorf("verify of an empty database says\n%s", out)
	}
	if out, err := m.saver("replay"); err != nil || !strings.Contains(out, "replayed") {
		m.t.Errorf("replay: %v\n%s", err, out)
	}
	if out, err := m.saver("verify"); err != nil {
		m.t.Errorf("verify after the replay: %v\n%s", err, out)
	}
}

// wantDeadLetters lists, shows, retries and drops garbage.
func (m *machine) wantDeadLetters() {
	m.t.Helper()
	m.publish("sync.vitals.7", "garbage")
	m.eventually("the garbage is listed", func() bool {
		out, err := m.saver("dlq", "list", "--char", "7")
		return err == nil && strings.Contains(out, "not valid JSON")
	})
	if out, err := m.saver("dlq", "show", "1"); err != nil || !strings.Contains(out, "garbage") || !strings.Contains(out, "sync.vitals.7") {
		m.t.Errorf("dlq show: %v\n%s", err, out)
	}
	if out, err := m.saver("dlq", "retry", "1"); err != nil {
		m.t.Errorf("dlq retry: %v\n%s", err, out)
	}
	m.eventually("it comes back", func() bool {
		out, err := m.saver("dlq", "show", "2")
		return err == nil && strings.Contains(out, "garbage")
	})
	if out, err := m.saver("dlq", "drop"); err == nil {
		m.t.Errorf("dlq drop of nothing in particular: %s", out)
	}
	if out, err := m.saver("dlq", "drop", "--all", "--scope", "vitals"); err != nil || !strings.Contains(out, "1 dead letters dropped") {
		m.t.Errorf("dlq drop: %v\n%s", err, out)
	}
	if out, err := m.saver("dlq", "show", "2"); err == nil {
		m.t.Errorf("dlq show of a dropped letter: %s", out)
	}
}

// psql runs a statement on the machine's database.
func (m *machine) psql(statement string) {
	m.t.Helper()
	line := ". " + filepath.Join(m.dir, "env") + "; psql \"$DATABASE_URL\" -qc '" + statement + "'"
	if out, err := exec.CommandContext(m.t.Context(), "sh", "-c", line).CombinedOutput(); err != nil {
		m.t.Fatalf("psql: %v\n%s", err, out)
	}
}

func (m *machine) publish(subject, body string) {
	m.t.Helper()
	nc, err := nats.Connect(m.nats)
	if err != nil {
		m.t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Request(subject, []byte(body), 5*time.Second); err != nil {
		m.t.Fatal(err)
	}
}

// wantVerifyToFail changes a row behind the system's back.
func (m *machine) wantVerifyToFail() {
	m.t.Helper()
	m.psql("UPDATE character_vitals SET hp = 1 WHERE char_id = 42")
	out, err := m.saver("verify", "--wait", "0s")
	if err == nil || !strings.Contains(out, "character 42, vitals") || !strings.Contains(out, "cold hp 1,") {
		m.t.Errorf("verify of a changed row: %v\n%s", err, out)
	}
}
