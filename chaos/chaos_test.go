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
	for name, cfg := range map[string]Config{
		"anything may break":         {},
		"Redis loses what it had":    {Faults: []string{"redis-empty", "redis-older", "saver-kill", "nats-restart"}},
		"another build takes over":   {Faults: []string{"gateway-build", "saver-build", "redis-empty"}, OldBin: bin},
		"one of three NATS may fail": {Faults: []string{"nats-kill", "nats-restart", "nats-split", "saver-kill", "redis-empty"}, NATS: 3},
	} {
		t.Run(name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			cfg.Bin, cfg.Seed, cfg.Duration, cfg.Parallel = bin, seed, 8*time.Second, 2
			result, err := Run(t.Context(), cfg)
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
