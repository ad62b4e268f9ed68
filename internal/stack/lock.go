package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// LockedError is returned by a start in a directory that is in use.
type LockedError struct {
	What string // what runs there: "stack", "PostgreSQL", "Redis", "NATS"
	Dir  string
	PID  int // the process that runs it, 0 if it has not written its id yet
}

func (e *LockedError) Error() string {
	who := "another " + e.What
	if e.PID != 0 {
		who += fmt.Sprintf(" (pid %d)", e.PID)
	}
	return fmt.Sprintf("%s runs in %s: stop it, or choose another directory", who, e.Dir)
}

// A dirLock keeps a second server, of any process, out of a directory. The
// kernel drops it on any kind of death.
type dirLock struct{ file *os.File }

// lockDir returns a LockedError if the directory is locked. The lock file
// stays when the lock goes: removing it would let two processes lock two files
// of one name.
func lockDir(dir, what string) (*dirLock, error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		err = writePID(file)
	} else if errors.Is(err, syscall.EWOULDBLOCK) {
		err = &LockedError{What: what, Dir: dir, PID: readPID(file.Name())}
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &dirLock{file}, nil
}

// lockServerDir is lockDir for a child process, which may just have been killed
// by somebody else: until we have waited for it, the lock is still held.
func lockServerDir(ctx context.Context, dir, what string) (*dirLock, error) {
	deadline := time.Now().Add(retryFor)
	for {
		lock, err := lockDir(dir, what)
		if !errors.As(err, new(*LockedError)) || time.Now().After(deadline) || !pause(ctx) {
			return lock, err
		}
	}
}

// release unlocks by name instead of by closing: another goroutine may be
// between fork and exec of a child that still shares the open file.
func (l *dirLock) release() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}

func writePID(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// readPID reads the number on the first line of a file, 0 if there is none.
func readPID(path string) int {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, _ := strconv.Atoi(strings.TrimSpace(line))
	return pid
}
