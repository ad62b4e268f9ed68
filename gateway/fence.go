package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// errFence is the reason for a pause after Redis has lost its memory.
var errFence = errors.New("it was started or emptied a moment ago, and what was on its way is let through first; try again")

// loadFenced loads a whole character, after waiting until nothing can be on its way any
// more that was committed before Redis was last started, failed over or emptied: what is
// joined then is complete.
func (s *Service) loadFenced(ctx context.Context, char events.CharID) (*game.Loaded, error) {
	want := game.Everything
	want.Beginning = true
	for {
		loaded, err := s.Hot.Load(ctx, char, want)
		if err != nil || loaded.Age >= s.Fence {
			return loaded, err
		}
		if loaded.Age == 0 {
			s.noteBeginnings(ctx)
		}
		select {
		case <-time.After(s.Fence - loaded.Age):
		case <-ctx.Done():
			return nil, events.Unavailable(events.Redis, errFence)
		}
	}
}

// noteBeginnings notes the beginnings of all slots when that of one was just noted,
// because that means that a server was started or emptied. Noted one by one, when first
// asked for, each would be a loss of its own, with a fence and a reading of the trades on
// their way.
func (s *Service) noteBeginnings(ctx context.Context) {
	if !s.noting.TryLock() {
		return // another caller does it
	}
	defer s.noting.Unlock()
	if err := s.Hot.NoteBeginnings(ctx); err != nil {
		s.Log.Debug("beginnings not noted; each will be when it is asked for", "err", err)
	}
}

// beginningOf returns since when this run of Redis has kept the character's copy and
// those beside it, by our own clock.
func beginningOf(l *game.Loaded) time.Time { return time.Now().Add(-l.Age) }
