package savers

import (
	"context"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// evict forgets idle characters of which everything is saved. One that has to stay is
// looked at again after a tenth of the idle time, so that it is not in the way of the
// others.
func (s *sweep) evict(ctx context.Context) error {
	since := s.now.Add(-s.EvictIdle)
	for !s.over(ctx) {
		chars, err := s.Hot.Idle(ctx, since, sweepChunk)
		if err != nil || len(chars) == 0 {
			return err
		}
		stay, err := s.forget(ctx, chars, since)
		if err != nil {
			return err
		}
		if err := s.Hot.PostponeIdle(ctx, stay, since.Add(s.EvictIdle/10+time.Microsecond)); err != nil {
			return err
		}
	}
	return nil
}

// forget lets Redis forget those of some characters that it can.
func (s *sweep) forget(ctx context.Context, chars []events.CharID, since time.Time) (stay []events.CharID, err error) {
	err = s.bisect(ctx, chars, func(ctx context.Context, chars []events.CharID) error {
		some, err := s.Hot.EvictMany(ctx, chars, since)
		if err == nil {
			stay = append(stay, some...)
		}
		return err
	}, func(_ context.Context, char events.CharID, err error) error {
		s.Log.Warn("idle character not forgotten", "char_id", char, "err", err)
		stay = append(stay, char)
		return nil
	})
	return stay, err
}
