package chaos

import (
	"slices"
	"sync"
	"time"
)

// timeline is which fault was on when. Clients ask it what an answer is worth.
type timeline struct {
	mu    sync.Mutex
	spans []*span // by their begin
	// settled counts the spans at the front that had all ended at settledAt.
	settled   int
	settledAt time.Time
	// lossEnd is when a fault of losesHot last ended; losing counts those that are on.
	lossEnd time.Time
	losing  int
}

// span is one fault from its begin until all is mended. to is zero while it is on.
type span struct {
	name     string
	from, to time.Time
}

func (s *span) overlaps(from, to time.Time) bool {
	return !s.from.After(to) && (s.to.IsZero() || !s.to.Before(from))
}

// begin notes that a fault begins. The caller calls end when it is mended.
func (t *timeline) begin(name string) (end func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := &span{name: name, from: time.Now()}
	t.spans = append(t.spans, s)
	loses := slices.Contains(losesHot, name)
	if loses {
		t.losing++
	}
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		s.to = time.Now()
		if loses {
			t.losing--
			t.lossEnd = s.to
		}
		t.settle()
	}
}

func (t *timeline) settle() {
	for t.settled < len(t.spans) && !t.spans[t.settled].to.IsZero() {
		if to := t.spans[t.settled].to; to.After(t.settledAt) {
			t.settledAt = to
		}
		t.settled++
	}
}

// lostHotSince reports whether Redis may have lost what was sent at that time.
func (t *timeline) lostHotSince(sent time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.losing > 0 || !t.lossEnd.Before(sent)
}

// lastLoss is when Redis was last mended after a loss; zero for never.
func (t *timeline) lastLoss() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lossEnd
}

// during returns the faults that were on at any moment between two times.
func (t *timeline) during(from, to time.Time) (found []span) {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans := t.spans
	if from.After(t.settledAt) {
		spans = spans[t.settled:]
	}
	for _, s := range spans {
		if s.overlaps(from, to) {
			found = append(found, *s)
		}
	}
	return found
}
