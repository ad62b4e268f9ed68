package chaos

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
)

// speedometer counts how fast gateways answer, and how often they do not, by
// the fault that was on.
type speedometer struct {
	faults *timeline
	mu     sync.Mutex
	by     map[string]*speeds // "" for when no fault was on
	began  time.Time          // what was sent before is not counted; zero for nothing is
}

// speeds is a histogram: bucket n holds answers of up to 1.05^n microseconds.
type speeds struct {
	buckets  [400]int64
	answered int64
	failed   int64
}

const bucketWidth = 1.05

func newSpeedometer(faults *timeline) *speedometer {
	return &speedometer{faults: faults, by: map[string]*speeds{}}
}

// aftermath is how long a fault that is mended is still counted to be on.
const aftermath = time.Second

// begin starts the counting.
func (s *speedometer) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() {
		s.began = time.Now()
	}
}

// note counts one attempt. An attempt during several faults counts for each.
func (s *speedometer) note(sent, answered time.Time, failed bool) {
	names := []string{}
	for _, span := range s.faults.during(sent.Add(-aftermath), answered) {
		if !slices.Contains(names, span.name) {
			names = append(names, span.name)
		}
	}
	if len(names) == 0 {
		names = append(names, "")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.began.IsZero() || sent.Before(s.began) {
		return
	}
	for _, name := range names {
		at := s.by[name]
		if at == nil {
			at = new(speeds)
			s.by[name] = at
		}
		at.note(answered.Sub(sent), failed)
	}
}

func (s *speeds) note(took time.Duration, failed bool) {
	if failed {
		s.failed++
		return
	}
	s.answered++
	micros := max(1, float64(took.Microseconds()))
	s.buckets[min(len(s.buckets)-1, int(math.Ceil(math.Log(micros)/math.Log(bucketWidth))))]++
}

// quantile is the time in which a share of the answers came.
func (s *speeds) quantile(share float64) time.Duration {
	if s.answered == 0 {
		return 0
	}
	left := int64(math.Ceil(share * float64(s.answered)))
	for n, count := range s.buckets {
		if left -= count; left <= 0 {
			return time.Duration(math.Pow(bucketWidth, float64(n)) * float64(time.Microsecond))
		}
	}
	return 0
}

// Speed is how gateways answered while a fault was on.
type Speed struct {
	Fault    string // "" for when none was on
	Answered int64  // answers that are no errors of the server
	Failed   int64  // 5xx, timeouts, refused connections
	P50, P99 time.Duration
}

// speeds lists what was counted, calm first.
func (s *speedometer) list() (out []Speed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, at := range s.by {
		out = append(out, Speed{name, at.answered, at.failed, at.quantile(0.5), at.quantile(0.99)})
	}
	slices.SortFunc(out, func(a, b Speed) int { return strings.Compare(a.Fault, b.Fault) })
	return out
}

// speedTable says the speeds in lines: those during faults as ratios to calm.
func speedTable(list []Speed) string {
	if len(list) == 0 || list[0].Fault != "" || list[0].Answered == 0 {
		return "  no answer came in calm: nothing to compare with\n"
	}
	calm := list[0]
	var b strings.Builder
	fmt.Fprintf(&b, "  %-24s %9s %7s %9s %9s\n", "while", "answers", "failed", "p50", "p99")
	fmt.Fprintf(&b, "  %-24s %9d %7d %9v %9v\n", "calm", calm.Answered, calm.Failed, round(calm.P50), round(calm.P99))
	for _, s := range list[1:] {
		fmt.Fprintf(&b, "  %-24s %9d %7d %9s %9s\n", s.Fault, s.Answered, s.Failed, ratio(s.P50, calm.P50), ratio(s.P99, calm.P99))
	}
	return b.String()
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }

func ratio(a, b time.Duration) string {
	if a == 0 || b == 0 {
		return "-"
	}
	return fmt.Sprintf("× %.1f", float64(a)/float64(b))
}
