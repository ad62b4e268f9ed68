package savers

import (
	"context"

	"golang.org/x/sync/errgroup"
)

// fetched is how far a sweeper has come, in one run of Redis, with those that
// the mirror shows in a session.
type fetched struct {
	run  string
	next uint64
}

// complete brings this run of Redis to where a character that it does not have
// has nothing left to save and no open session. From then on such a character
// can be loaded without the stream. It takes two steps: everything is settled
// that the stream had stored at some moment of the run, and those that the
// mirror shows in a session are in Redis.
func (s *sweep) complete(ctx context.Context) error {
	run, err := s.Hot.Run(ctx)
	if err != nil || run == "" {
		return err
	}
	if done, err := s.Hot.Complete(ctx); err != nil || done {
		return err
	}
	// The run was asked before the stream: what the stream has now was stored
	// before that run or in it.
	last, settled, err := s.Stream.Settled(ctx)
	if err != nil {
		return err
	}
	if ready, err := s.Hot.NoteSettled(ctx, run, last, settled); err != nil || !ready {
		return err
	}
	if finished, err := s.fetchSessions(ctx, run); err != nil || !finished {
		return err
	}
	s.Log.Info("Redis is complete", "run", run)
	return s.Hot.NoteComplete(ctx, run)
}

// fetchSessions brings those into Redis that were in a session when it was
// started or emptied. What one sweep does not manage the next goes on with.
func (s *sweep) fetchSessions(ctx context.Context, run string) (finished bool, err error) {
	if s.fetched.run != run {
		s.fetched = fetched{run: run}
	}
	for !s.over(ctx) {
		chars, next, err := s.Stream.InSessions(ctx, s.fetched.next, sweepChunk)
		if err != nil {
			return false, err
		}
		missing, err := s.Hot.Unverified(ctx, run, chars)
		if err != nil {
			return false, err
		}
		var group errgroup.Group
		group.SetLimit(sweepAtOnce)
		for _, char := range missing {
			group.Go(func() error {
				err := s.Game.Rejoin(ctx, char)
				if err != nil && goOn(ctx, err) {
					s.Log.Warn("character in a session not brought into Redis", "char_id", char, "err", err)
					return nil // nor could a gateway
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return false, err
		}
		if s.fetched.next = next; next == 0 {
			return true, nil
		}
	}
	return false, nil
}
