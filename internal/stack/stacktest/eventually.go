package stacktest

import (
	"testing"
	"time"
)

// patience is how long Eventually waits. It is far above what anything takes,
// so that only what never happens fails.
const patience = 60 * time.Second

// Eventually waits until ok returns true. It fails the test, with what never
// came, when that takes too long. The condition decides, not the time.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
