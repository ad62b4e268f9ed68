package chaos

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// The short form of `make chaos`: anything at random, two faults at once. What
// fails here fails again with the same seed.
func TestShortRunFindsNothing(t *testing.T) {
	bin := t.TempDir()
	build(t, "-o", bin+"/")
	for name, faults := range map[string][]string{
		"anything may break":      nil,
		"Redis loses what it had": {"redis-empty", "redis-older", "saver-kill", "nats-restart"},
	} {
		t.Run(name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			result, err := Run(t.Context(), Config{Bin: bin, Seed: seed, Faults: faults, Duration: 8 * time.Second, Parallel: 2})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			t.Log(result)
			if len(result.Violations) > 0 {
				t.Error(result.Report())
			}
		})
	}
}

// build builds the programs with more arguments of go build.
func build(t *testing.T, args ...string) {
	t.Helper()
	args = append(append([]string{"build"}, args...), "./cmd/gateway", "./cmd/saver", "./cmd/savepoint")
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir, cmd.Env = "..", os.Environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}
