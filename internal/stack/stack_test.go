package stack_test

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestSecondStackInOneDirIsRefused(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	startStack(t, dir)

	_, err := stack.Start(within(t), stack.Config{Dir: dir})

	var locked *stack.LockedError
	if !errors.As(err, &locked) || locked.PID != os.Getpid() {
		t.Fatalf("got %v, want a LockedError with our pid", err)
	}
	if want := fmt.Sprintf("another stack (pid %d) runs in ", os.Getpid()); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}
}

func TestTwoStacksRunSideBySide(t *testing.T) {
	t.Parallel()
	one, two := startStack(t, tempDir(t)), startStack(t, tempDir(t))

	writeAll(t, one)

	checkAll(t, one)
	query(t, two.Postgres.URL(), "CREATE TABLE remembered ()", nil) // is not there yet
}

func TestClosedStackLeavesNoProcessAndStartsAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(tempDir(t), "it's a dir, too") // for all that quotes
	first := startStack(t, dir)
	writeAll(t, first)
	processes := append(stack.ChildrenOf(first.Postgres.Pid()), first.Postgres.Pid(), first.Redis.Pid())
	if len(processes) < 4 {
		t.Fatalf("only %d processes: PostgreSQL alone has more", len(processes))
	}

	must(t, first.Close(within(t)))

	checkGone(t, processes)
	checkAll(t, startStack(t, dir))
}

// A program that is killed cannot stop its servers, and where nobody waits for
// them they stay as zombies, whose pid files would keep new ones out.
func TestKilledProgramLeavesDirThatStartsAtOnce(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	program, pids := startProgram(t, dir)
	env := readEnv(t, dir)
	writePostgres(t, env["DATABASE_URL"])
	writeRedis(t, env["REDIS_URL"])
	writeNATS(t, env["NATS_URL"])

	kill(t, program)

	checkAll(t, startStack(t, dir))
	checkGone(t, pids)
}

func TestFailedStartLeavesNothingRunning(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	config := filepath.Join(tempDir(t), "nats.conf")
	must(t, os.WriteFile(config, []byte("no_such_option: 1"), 0o644))

	_, err := stack.Start(within(t), stack.Config{Dir: dir, NATSConfig: config})

	if err == nil || !strings.Contains(err.Error(), "no_such_option") {
		t.Fatalf("got %v, want the option that is wrong", err)
	}
	startStack(t, dir) // is neither locked nor in use
}

func TestEnvCanBeSourcedAsLongAsTheStackRuns(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	s := startStack(t, dir)

	env := readEnv(t, dir)

	for name, want := range map[string]string{
		"NATS_URL": s.NATS.URL(), "REDIS_URL": s.Redis.URL(), "DATABASE_URL": s.Postgres.URL(),
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	must(t, s.Close(within(t)))
	if _, err := os.Stat(filepath.Join(dir, "env")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("env is left: %v", err)
	}
}

// readEnv asks a shell.
func readEnv(t *testing.T, dir string) map[string]string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `set -a; . "$0"; env`, filepath.Join(dir, "env")).Output()
	must(t, err)
	env := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	return env
}

// startProgram runs a stack in a process of its own, without the care that
// StartProcess takes, and returns the ids of its servers.
func startProgram(t *testing.T, dir string) (program *exec.Cmd, pids []int) {
	t.Helper()
	program = exec.Command(os.Args[0])
	program.Env = append(os.Environ(), stackDir+"="+dir)
	stdout, err := program.StdoutPipe()
	must(t, err)
	stdin, err := program.StdinPipe() // closed with us, which ends it
	must(t, err)
	t.Cleanup(func() { _ = stdin.Close() })
	must(t, program.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	must(t, err)
	pids = make([]int, 2)
	if _, err := fmt.Sscan(line, &pids[0], &pids[1]); err != nil {
		t.Fatalf("the program says %q", line)
	}
	return program, pids
}

func kill(t *testing.T, program *exec.Cmd) {
	t.Helper()
	must(t, program.Process.Kill())
	_ = program.Wait() // "signal: killed"
}

// checkGone looks once: who stops a server waits for it. Zombies do not count.
func checkGone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		// A process that was killed takes some moments to be gone.
		stacktest.Eventually(t, fmt.Sprintf("process %d is gone: %s", pid, stack.CommandLine(pid)), func() bool {
			return stack.CommandLine(pid) == ""
		})
	}
}
