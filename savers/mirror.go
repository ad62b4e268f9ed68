package savers

import (
	"context"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// mirrorFilled is how far the sweeper is with a mirror that began empty.
type mirrorFilled struct {
	made time.Time       // when the mirror was made that is looked after
	left []events.CharID // who may not be shown in it yet
}

// fillMirror shows all open contexts in a mirror that this process has not seen
// before: it may be a new one, in place of one that was lost. What is shown
// already stays as it is.
func (s *sweep) fillMirror(ctx context.Context) error {
	made, err := s.Stream.MirrorCreated(ctx)
	if err != nil {
		return err
	}
	if !made.Equal(s.mirrorFilled.made) {
		chars, err := s.Hot.InContext(ctx)
		if err != nil {
			return err
		}
		s.mirrorFilled = mirrorFilled{made: made, left: chars}
	}
	for len(s.mirrorFilled.left) > 0 && !s.over(ctx) {
		chunk := s.mirrorFilled.left[:min(sweepChunk, len(s.mirrorFilled.left))]
		if err := s.each(ctx, chunk, "contexts not shown in the mirror", s.Game.RefreshMirror); err != nil {
			return err // the chunk comes again
		}
		s.mirrorFilled.left = s.mirrorFilled.left[len(chunk):]
	}
	return nil
}
