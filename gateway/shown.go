package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// shownMarks clears the marks of contexts that the mirror shows. No player waits for
// that, so marks gather for a moment, and one round trip clears them all. The sweeper
// clears those that are left.
type shownMarks struct {
	running sync.WaitGroup

	mu      sync.Mutex // guards the rest
	busy    bool
	waiting map[events.CharID]events.RowVersions
}

// gatherMarks is how long marks gather: one by one, each costs a round trip of
// its own.
const gatherMarks = 50 * time.Millisecond

// maxWaiting bounds the characters that wait while Redis is slow.
const maxWaiting = 10_000

// show puts contexts into the mirror, and clears their mark soon.
func (s *Service) show(ctx context.Context, char events.CharID, c game.Contexts, put func(context.Context, events.CharID, game.Contexts) error) error {
	short, cancel := s.publishing.within(ctx)
	defer cancel()
	if err := put(short, char, c); err != nil {
		return err
	}
	s.clearLater(char, c.Version)
	return nil
}

// clearLater clears the mark of a character's contexts up to version v, soon.
func (s *Service) clearLater(char events.CharID, v events.Version) {
	m := &s.shownMarks
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.waiting) >= maxWaiting {
		return
	}
	m.waiting[char] = events.RowVersions{game.RowContexts: max(v, m.waiting[char][game.RowContexts])}
	if !m.busy {
		m.busy = true
		m.running.Go(s.clearShown)
	}
}

// clearShown clears marks until none waits.
func (s *Service) clearShown() {
	for {
		time.Sleep(gatherMarks)
		marks := s.shownMarks.take()
		if len(marks) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.ActionTimeout)
		if err := s.Hot.Clear(ctx, marks); err != nil {
			s.Log.Debug("marks of shown contexts not cleared", "characters", len(marks), "err", err)
		}
		cancel()
	}
}

// take returns what waits. When that is nothing clearShown ends, and the next clearLater
// starts it again.
func (m *shownMarks) take() map[events.CharID]events.RowVersions {
	m.mu.Lock()
	defer m.mu.Unlock()
	marks := m.waiting
	m.waiting = make(map[events.CharID]events.RowVersions)
	m.busy = len(marks) > 0
	return marks
}
