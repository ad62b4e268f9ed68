package stacktest

import (
	"os/exec"
	"testing"
)

// Programs builds programs of this module, by their names in cmd, and returns the
// directory that they are in.
func Programs(t testing.TB, names ...string) string {
	t.Helper()
	bin := t.TempDir()
	args := []string{"build", "-o", bin + "/"}
	for _, name := range names {
		args = append(args, "github.com/savepoint-games/savepoint/cmd/"+name)
	}
	if out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput(); err != nil {
		t.Fatalf("build %v: %v: %s", names, err, out)
	}
	return bin
}
