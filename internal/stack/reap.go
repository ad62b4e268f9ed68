package stack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A leftover is what a server of an earlier, killed process may have left.
// Only the holder of the directory's lock may reap: then no living process of
// ours owns the server.
type leftover struct {
	pidFile string
	dir     string         // a word of the server's command line
	stop    syscall.Signal // makes it end in order
	files   []string       // patterns of what blocks the next start
}

// patience is how long a leftover may take to end in order. On Linux the
// kernel has told it already when we come.
const patience = 5 * time.Second

// reap ends the server if it still runs and removes what it left.
func (l leftover) reap(ctx context.Context) error {
	if pid := readPID(l.pidFile); pid != 0 {
		if err := l.end(ctx, pid); err != nil {
			return fmt.Errorf("end the server (pid %d) an earlier run left in %s: %w", pid, l.dir, err)
		}
	}
	var errs []error
	for _, pattern := range append(l.files, l.pidFile) {
		errs = append(errs, removeMatches(pattern))
	}
	return errors.Join(errs...)
}

func (l leftover) end(ctx context.Context, pid int) error {
	for _, s := range []syscall.Signal{l.stop, syscall.SIGKILL} {
		if !l.runs(pid) {
			return nil
		}
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
		if l.awaitEnd(ctx, pid) {
			return nil
		}
	}
	return errors.New("it does not end")
}

// runs asks for the directory too, because the pid may have gone to another
// program since.
func (l leftover) runs(pid int) bool {
	return strings.Contains(commandLine(pid)+" ", " "+l.dir+" ")
}

func (l leftover) awaitEnd(ctx context.Context, pid int) bool {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for l.runs(pid) {
		if !pause(ctx) {
			return false
		}
	}
	return true
}

func removeMatches(pattern string) error {
	paths, err := filepath.Glob(pattern)
	for _, path := range paths {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
