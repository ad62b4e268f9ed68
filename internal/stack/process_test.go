package stack_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// shell starts a script and returns when it has printed its first line.
func shell(t *testing.T, script string) *stack.Process {
	t.Helper()
	r, w := io.Pipe()
	p, err := stack.StartProcess(within(t), stack.ProcessConfig{Path: "/bin/sh", Args: []string{"-c", script}, Stdout: w})
	must(t, err)
	t.Cleanup(func() { must(t, p.Kill()) })
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, r) }()
	t.Cleanup(func() { _ = w.Close() })
	return p
}

func TestStopEndsProcessAsAsked(t *testing.T) {
	t.Parallel()
	p := shell(t, "echo up; exec sleep 1000")
	if p.Err() != nil {
		t.Errorf("a running process has the error %v", p.Err())
	}

	must(t, p.Stop(within(t)))
	must(t, p.Stop(within(t))) // nothing is left to do

	if p.Err() == nil {
		t.Error("a process ended by a signal has no error")
	}
}

func TestStopTellsOfExitStatus(t *testing.T) {
	t.Parallel()
	p := shell(t, "trap 'exit 3' TERM; echo up; while :; do sleep 0.01; done")

	err := p.Stop(within(t))

	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want exit status 3", err)
	}
}

func TestStubbornProcessIsKilledAtDeadline(t *testing.T) {
	t.Parallel()
	p := shell(t, "trap '' TERM; echo up; while :; do sleep 0.01; done")
	late, cancel := context.WithCancel(context.Background())
	cancel()

	err := p.Stop(late)

	if err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("got %v, want it to say killed", err)
	}
	checkGone(t, []int{p.Pid()})
}

func TestKillTakesTheWholeGroup(t *testing.T) {
	t.Parallel()
	// The background process holds the output, so Done says that it ended too.
	p := shell(t, "sleep 1000 & echo up; wait")
	children := stack.ChildrenOf(p.Pid())

	must(t, p.Kill())

	<-p.Done()
	if len(children) != 1 {
		t.Fatalf("children are %v, want one", children)
	}
}

func TestSignalReachesProcess(t *testing.T) {
	t.Parallel()
	p := shell(t, "trap 'exit 0' USR1; echo up; while :; do sleep 0.01; done")

	must(t, p.Signal(syscall.SIGUSR1))

	<-p.Done()
	if err := p.Err(); err != nil {
		t.Error(err)
	}
	if err := p.Signal(syscall.SIGUSR1); err != os.ErrProcessDone {
		t.Errorf("signal to an ended process gives %v", err)
	}
}

func TestMissingProgramIsNamed(t *testing.T) {
	t.Parallel()
	_, err := stack.StartProcess(within(t), stack.ProcessConfig{Path: "/no/such/program"})

	if err == nil || !strings.Contains(err.Error(), "start program: ") {
		t.Errorf("got %v", err)
	}
}

func TestProcessGetsItsEnvironmentAndOutput(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p, err := stack.StartProcess(within(t), stack.ProcessConfig{
		Path: "/bin/sh", Args: []string{"-c", "echo $GREETING; echo $GREETING >&2"},
		Env: []string{"GREETING=hello"}, Stdout: &out, Stderr: &out,
	})
	must(t, err)

	<-p.Done()

	if out.String() != "hello\nhello\n" {
		t.Errorf("got %q", out.String())
	}
}
