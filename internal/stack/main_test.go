package stack_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"

	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// stackDir makes this test binary a program that runs a stack there until its
// input ends: one that a test can kill.
const stackDir = "SAVEPOINT_TEST_STACK_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(stackDir); dir != "" {
		os.Exit(runStack(dir))
	}
	logging.Disable() // go-redis: tests kill what it is connected to
	os.Exit(stacktest.Main(m))
}

func runStack(dir string) int {
	s, err := stack.Start(context.Background(), stack.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(s.Postgres.Pid(), s.Redis.Pid())
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = s.Close(context.Background())
	return 0
}

// within bounds a test that waits for servers. It is no measure of anything.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// tempDir is a directory that user postgres can enter, unlike t.TempDir.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sp")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	must(t, err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
