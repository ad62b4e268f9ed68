// Package load sends requests to a gateway at the moments that a schedule sets,
// whatever the answers take (an open loop), and counts each latency from the
// moment at which the request should have been sent: what waits behind a slow
// answer is slow, too. It knows the requests of the contract and nothing else of
// the product.
//
// The generator shares the cores with what it measures, so it is one loop around
// epoll: half of what a net/http client takes a request (22 to 30 µs of CPU time
// against 51 to 56 at 5,000 a second, 13 in a closed loop). Its timer is one of
// the kernel's, because Go's are a millisecond late. It works on Linux; elsewhere
// Run returns ErrUnsupported.
package load

import (
	"errors"
	"math"
	"slices"
	"time"
)

// ErrUnsupported is returned where the system has no epoll.
var ErrUnsupported = errors.New("the load generator works on Linux only")

// answerTimeout is how long the last answers of a window may take.
const answerTimeout = 5 * time.Second

// A Window is a stretch of load.
type Window struct {
	// Addr is where the gateway answers.
	Addr string
	// Story is what the characters do; see Stories.
	Story string
	// Characters is how many take part. Which one is next is drawn evenly from
	// those that wait for no answer, or as Zipf says.
	Characters int
	// Zipf is the skew, above 1: with 1.2 one character has a sixth of all requests.
	// They come whether or not its earlier ones are answered, so it is for stories
	// whose steps stand alone.
	//
	// Defaults to 0, an even choice.
	Zipf float64
	// FirstChar is the lowest of their ids, which follow one another.
	//
	// Defaults to 1.
	FirstChar int64
	// Rate is how many requests should be sent a second, at moments drawn as in a
	// Poisson process. 0 is a closed loop: the next when one is answered.
	Rate float64
	// Conns is how many connections there are: in a closed loop as many requests
	// are under way. An open loop should have more than are ever needed; where
	// they do not suffice, requests wait, and that counts.
	Conns int
	// For is how long requests are sent; those under way are waited for.
	For time.Duration
	// Each, in a closed loop, ends the window when each character has taken so
	// many steps: for making characters. 0 for no such end.
	Each int
	// Finish, in a closed loop, takes only the steps that end stories under way.
	Finish bool
	Seed   uint64
}

// A Result is what a window saw.
type Result struct {
	// Latencies of the answers by step, in the order of the answers.
	Latencies map[string][]time.Duration
	// Took is from the first moment of the schedule to the last answer.
	Took time.Duration
	// Hot is how many answers said that the stream had not acknowledged in time,
	// where the step publishes something.
	Hot int
	// Refused counts answers that were not 2xx, by status; they have no latency.
	Refused map[int]int
	// Refusal is the body of one of them.
	Refusal string
}

// Answers is how many answers were 2xx.
func (r Result) Answers() (n int) {
	for _, step := range r.Latencies {
		n += len(step)
	}
	return n
}

// PerSecond is the rate of the answers.
func (r Result) PerSecond() float64 { return float64(r.Answers()) / r.Took.Seconds() }

// Add joins the results of another window.
func (r *Result) Add(other Result) {
	if r.Latencies == nil {
		r.Latencies, r.Refused = map[string][]time.Duration{}, map[int]int{}
	}
	for step, more := range other.Latencies {
		r.Latencies[step] = append(r.Latencies[step], more...)
	}
	for status, n := range other.Refused {
		r.Refused[status] += n
	}
	r.Took += other.Took
	r.Hot += other.Hot
	if r.Refusal == "" {
		r.Refusal = other.Refusal
	}
}

// All are the latencies of all steps.
func (r Result) All() (all []time.Duration) {
	for _, step := range r.Latencies {
		all = append(all, step...)
	}
	return all
}

// Percentile is the smallest of the latencies that at least so many percent of
// them do not exceed; 0 of none.
func Percentile(latencies []time.Duration, percent float64) time.Duration {
	if len(latencies) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(latencies))
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}
