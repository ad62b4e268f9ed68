package stack

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// leave makes a directory as a killed server might have left it.
func leave(t *testing.T, pid int) leftover {
	t.Helper()
	dir := t.TempDir()
	l := leftover{
		pidFile: filepath.Join(dir, "server.pid"), dir: dir,
		stop: syscall.SIGTERM, files: []string{filepath.Join(dir, "*.lock")},
	}
	for _, path := range []string{l.pidFile, filepath.Join(dir, "socket.lock")} {
		if err := os.WriteFile(path, []byte(strconv.Itoa(pid)+"\nmore\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func checkClean(t *testing.T, l leftover) {
	t.Helper()
	for _, path := range []string{l.pidFile, filepath.Join(l.dir, "socket.lock")} {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

func TestReapEndsServerThatStillRuns(t *testing.T) {
	t.Parallel()
	l := leave(t, 0)
	server, err := StartProcess(t.Context(), ProcessConfig{Path: "/bin/sh", Args: []string{"-c", "while :; do sleep 0.01; done", "sh", l.dir}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Kill()
	if err := os.WriteFile(l.pidFile, []byte(strconv.Itoa(server.Pid())), 0o644); err != nil {
		t.Fatal(err)
	}

	if err := l.reap(context.Background()); err != nil {
		t.Fatal(err)
	}

	<-server.Done()
	checkClean(t, l)
}

func TestReapLeavesStrangerWithTheSamePidAlone(t *testing.T) {
	t.Parallel()
	l := leave(t, os.Getpid())

	if err := l.reap(context.Background()); err != nil {
		t.Fatal(err)
	}

	checkClean(t, l)
}

func TestHighestPostgresVersionWins(t *testing.T) {
	t.Parallel()
	if a, b := versionIn("/usr/lib/postgresql/9.6/bin"), versionIn("/usr/lib/postgresql/15/bin"); a >= b {
		t.Errorf("9.6 is %v, 15 is %v", a, b)
	}
	if v := versionIn("/opt/homebrew/opt/postgresql@17/bin"); v != 17 {
		t.Errorf("Homebrew's 17 is %v", v)
	}
}
