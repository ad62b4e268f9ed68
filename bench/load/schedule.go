package load

import (
	"math/rand/v2"
	"time"
)

// A schedule says when requests should be sent, counted from the start.
type schedule struct {
	random *rand.Rand
	mean   float64 // of the time between two, in nanoseconds
	due    time.Duration
}

// newSchedule draws as in a Poisson process: players do not wait for each other.
func newSchedule(rate float64, random *rand.Rand) *schedule {
	s := &schedule{random: random, mean: float64(time.Second) / rate}
	s.next()
	return s
}

func (s *schedule) next() { s.due += time.Duration(s.random.ExpFloat64() * s.mean) }
