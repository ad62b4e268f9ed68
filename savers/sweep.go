package savers

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
)

// sweep is one round.
type sweep struct {
	*CleanupStateSaver
	now      time.Time // what ages are told from
	began    time.Time // by the clock, as is deadline
	deadline time.Time // of the part in hand
}

// until gives the next part what is left of the budget up to share (0 to 1).
func (s *sweep) until(share float64) *sweep {
	s.deadline = s.began.Add(time.Duration(share * float64(s.Budget)))
	return s
}

// over reports whether the part in hand has to stop.
func (s *sweep) over(ctx context.Context) bool {
	return ctx.Err() != nil || time.Now().After(s.deadline)
}

// each calls do for characters, sweepAtOnce at a time. A character that fails for a
// reason of its own (see goOn) is passed over, and logged with the message failed.
func (s *sweep) each(ctx context.Context, chars []events.CharID, failed string, do func(context.Context, events.CharID) error) error {
	var group errgroup.Group
	group.SetLimit(sweepAtOnce)
	for _, char := range chars {
		group.Go(func() error {
			err := do(ctx, char)
			if err != nil && goOn(ctx, err) {
				s.Log.Warn(failed, "char_id", char, "err", err)
				return nil
			}
			return err
		})
	}
	return group.Wait()
}

// bisect handles characters together. Where that fails, and not because a server is away,
// it handles each half of them, and so on until the character that fails is alone.
func (s *sweep) bisect(ctx context.Context, chars []events.CharID, together func(context.Context, []events.CharID) error, alone func(context.Context, events.CharID, error) error) error {
	err := together(ctx, chars)
	if err == nil || !goOn(ctx, err) {
		return err
	}
	if len(chars) == 1 {
		return alone(ctx, chars[0], err)
	}
	// The first half has its turn even when time is over, so that each sweep gets
	// somewhere.
	half := len(chars) / 2
	if err := s.bisect(ctx, chars[:half], together, alone); err != nil || s.over(ctx) {
		return err
	}
	return s.bisect(ctx, chars[half:], together, alone)
}
