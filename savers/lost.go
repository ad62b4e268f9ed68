package savers

import (
	"context"

	"github.com/savepoint-games/savepoint/events"
)

// endLost ends the sessions of characters that nobody has heard of.
func (s *sweep) endLost(ctx context.Context) error {
	since := s.now.Add(-s.SessionIdle)
	chars, err := s.Hot.Lost(ctx, since, sweepList)
	if err != nil {
		return err
	}
	ended := 0
	var later []events.CharID
	for _, char := range chars {
		if s.over(ctx) {
			break
		}
		lost, err := s.Game.Abandon(ctx, char, since)
		switch {
		case err != nil && !goOn(ctx, err):
			return err
		case err != nil:
			s.Log.Warn("sessions of a lost character not ended", "char_id", char, "err", err)
			later = append(later, char)
		case lost:
			ended++
		default:
			later = append(later, char)
		}
	}
	if ended > 0 {
		s.Log.Info("ended the sessions of lost characters", "characters", ended)
	}
	return s.Hot.PostponeLost(ctx, later, s.now)
}
