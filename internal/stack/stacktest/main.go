// Package stacktest gives tests real PostgreSQL, Redis and NATS servers.
//
// A package that uses it says so once:
//
//	func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }
//
// The shared servers of a test binary start when the first test asks, and each
// test gets a part of its own, so tests may run in parallel. Names that begin
// with Own are whole servers, for tests that stop or kill them.
//
// A test never skips: when a server cannot start, it fails and says what to do.
package stacktest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const (
	// startTimeout is fifty times what the slowest start needs.
	startTimeout = time.Minute

	// stopTimeout is after what a server is killed.
	stopTimeout = 20 * time.Second

	// leakTimeout is how long goroutines of closed clients and servers may
	// take to end.
	leakTimeout = 5 * time.Second
)

// binary is what the tests of this test binary share.
var binary struct {
	dir   string
	dirs  atomic.Int64 // numbers the directories below
	mu    sync.Mutex
	stops []func(context.Context) error // of the shared servers
}

// Main runs the tests, then stops the shared servers, removes their data, and
// fails if goroutines are left. Options name goroutines that may be.
func Main(m *testing.M, ignore ...goleak.Option) int {
	code, err := run(m)
	if err == nil && code == 0 {
		err = findLeaks(ignore)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stacktest:", err)
		return max(code, 1)
	}
	return code
}

func run(m *testing.M) (code int, err error) {
	// Not t.TempDir: that is too long for the path of a socket, and closed to
	// the user PostgreSQL runs as where we are root.
	if binary.dir, err = os.MkdirTemp("", "sp"); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(binary.dir)) }()
	if err := os.Chmod(binary.dir, 0o755); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, stopShared()
}

func stopShared() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for _, stop := range binary.stops {
		errs = append(errs, stop(ctx))
	}
	return errors.Join(errs...)
}

func findLeaks(ignore []goleak.Option) error {
	deadline := time.Now().Add(leakTimeout)
	for {
		err := goleak.Find(ignore...)
		if err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// newDir names a directory for a server. It goes with the others when the
// tests are over.
func newDir(t testing.TB, prefix string) string {
	t.Helper()
	if binary.dir == "" {
		t.Fatal("stacktest: add `func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }` to this package's tests")
	}
	return filepath.Join(binary.dir, prefix+strconv.FormatInt(binary.dirs.Add(1), 10))
}

// A shared server starts when the first test asks; when it cannot, every test
// that asks fails.
type shared[T interface{ Stop(context.Context) error }] struct {
	once   sync.Once
	server T
	err    error
}

func (s *shared[T]) get(t testing.TB, start func(context.Context) (T, error)) T {
	t.Helper()
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
		defer cancel()
		if s.server, s.err = start(ctx); s.err == nil {
			binary.mu.Lock()
			defer binary.mu.Unlock()
			binary.stops = append(binary.stops, s.server.Stop)
		}
	})
	check(t, s.err)
	return s.server
}

// check ends the test if a server is not to be had.
func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("no server for this test (`make deps` installs PostgreSQL and Redis): %v", err)
	}
}

// own starts a server that the test has to itself and kills it at the test's
// end, since nobody wants its data. The test may stop it before.
func own[T interface{ Kill() error }](t testing.TB, start func(context.Context) (T, error)) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	server, err := start(ctx)
	check(t, err)
	t.Cleanup(func() {
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
	})
	return server
}
