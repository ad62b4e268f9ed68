package intake

import (
	"fmt"
	"testing"
	"time"
)

// What does not get through may be given back in each catch-up, and what all savers did
// in it was in vain.
func TestCatchUpThatGivesBackEachTimeIsTriedMoreSeldom(t *testing.T) {
	s := new(Source)
	end := func(early error) time.Duration {
		s.catchUp = &catchUp{early: early}
		s.endCatchUp()
		return s.retry.pause
	}
	for range 2 {
		for _, want := range []time.Duration{trySoon, 2 * trySoon, 4 * trySoon, 8 * trySoon, trySeldom, trySeldom} {
			if got := end(fmt.Errorf("catch up: %w", errGivenBack)); got != want {
				t.Errorf("the next one waits for %v, want %v", got, want)
			}
		}
		if got := end(nil); got != 0 {
			t.Errorf("after one that has settled all, the next one waits for %v", got)
		}
	}
}
