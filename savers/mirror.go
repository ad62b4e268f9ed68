package savers

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
)

// mirrored is how far the sweeper is with a mirror that began empty.
type mirrored struct {
	made time.Time       // when the mirror was made that is looked after
	left []events.CharID // who may not be shown in it yet
}

// fillMirror shows all open contexts in a mirror that this process has not seen
// before: it may be a new one, in place of one that was lost. What is shown
// already stays as it is.
func (s *sweep) fillMirror(ctx context.Context) error {
	made, err := s.Stream.MirrorMade(ctx)
	if err != nil {
		return err
	}
	if !made.Equal(s.mirror.made) {
		chars, err := s.Hot.InContext(ctx)
		if err != nil {
			return err
		}
		s.mirror = mirrored{made: made, left: chars}
	}
	for len(s.mirror.left) > 0 && !s.over(ctx) {
		chunk := s.mirror.left[:min(sweepChunk, len(s.mirror.left))]
		var group errgroup.Group
		group.SetLimit(sweepAtOnce)
		for _, char := range chunk {
			group.Go(func() error { return s.showAgain(ctx, char) })
		}
		if err := group.Wait(); err != nil {
			return err // the chunk comes again
		}
		s.mirror.left = s.mirror.left[len(chunk):]
	}
	return nil
}

// showAgain passes over a character whose own error it is; see goOn.
func (s *sweep) showAgain(ctx context.Context, char events.CharID) error {
	err := s.Game.RefreshMirror(ctx, char)
	if err != nil && goOn(ctx, err) {
		s.Log.Warn("contexts not shown in the mirror", "char_id", char, "err", err)
		return nil
	}
	return err
}
