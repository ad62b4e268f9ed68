package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// verifyCopy makes sure that Redis has a verified copy of a character: it brings
// together what Redis, PostgreSQL, the stream and the mirror know. It is how a
// character comes into Redis, and how a copy that may be older than what was
// acknowledged becomes good again after Redis was restarted, failed over or
// emptied. A character that nobody knows is made.
func (s *Service) verifyCopy(ctx context.Context, char events.CharID) error {
	end, err := s.beginJoin(ctx)
	if err != nil {
		return err
	}
	defer end()
	loaded, err := s.loadFenced(ctx, char)
	if err != nil {
		return err
	}
	return s.verifyLoaded(ctx, loaded)
}

// verifyInTurn is verifyLoaded when its turn has come.
func (s *Service) verifyInTurn(ctx context.Context, loaded *game.Loaded) error {
	end, err := s.beginJoin(ctx)
	if err != nil {
		return err
	}
	defer end()
	return s.verifyLoaded(ctx, loaded)
}

// verifyLoaded is verifyCopy of a copy that loadFenced returned.
func (s *Service) verifyLoaded(ctx context.Context, loaded *game.Loaded) error {
	if loaded.Verified {
		return nil // another gateway was faster
	}
	joined, with, err := s.joinLoaded(ctx, loaded)
	if err != nil {
		return err
	}
	return unlessMoved(s.commitJoin(ctx, loaded, joined, with))
}

// verifyKnown is verifyCopy for a reader: a character that nobody knows is not made,
// and known is false.
func (s *Service) verifyKnown(ctx context.Context, char events.CharID) (known bool, err error) {
	end, err := s.beginJoin(ctx)
	if err != nil {
		return false, err
	}
	defer end()
	loaded, err := s.loadFenced(ctx, char)
	if err != nil || loaded.Verified {
		return err == nil, err
	}
	joined, with, err := s.joinLoaded(ctx, loaded)
	if err != nil || joined.Version == 0 {
		return false, err
	}
	return true, unlessMoved(s.commitJoin(ctx, loaded, joined, with))
}

// unlessMoved returns the error of a join, but nil where another gateway was faster: the
// copy is verified then, too, or the next load finds that it is not.
func unlessMoved(err error) error {
	if _, moved := errors.AsType[*game.MovedError](err); moved {
		return nil
	}
	return err
}

// joinLoaded is joinAll of what was loaded or, while NATS is away, all that can be known
// without it.
func (s *Service) joinLoaded(ctx context.Context, loaded *game.Loaded) (*game.State, game.Joining, error) {
	joined, with, err := s.joinAll(ctx, &loaded.State, beginningOf(loaded))
	if err != nil && !loaded.Known && events.IsUnavailable(err, events.NATS) {
		joined, with, err = s.loadNewcomer(ctx, loaded, err)
	}
	if err != nil {
		return nil, with, fmt.Errorf("join the copies of character %d: %w", loaded.Char, err)
	}
	return joined, with, nil
}

// loadNewcomer reads a character that Redis does not have while NATS is away. If Redis is
// complete, PostgreSQL has all of it. Otherwise cause is returned, as it is for a
// character that may repeat a request from before Redis lost its memory.
func (s *Service) loadNewcomer(ctx context.Context, loaded *game.Loaded, cause error) (*game.State, game.Joining, error) {
	complete, err := s.Hot.Complete(ctx)
	if err != nil || !complete {
		return nil, game.Joining{}, cause
	}
	saved, err := s.Cold.Load(ctx, loaded.Char)
	if err != nil {
		return nil, game.Joining{}, err
	}
	if saved.Version > 0 && loaded.Age < game.AnswerMemory {
		return nil, game.Joining{}, cause
	}
	return saved, game.Joining{Dirty: saved.Unsaved(saved, nil, game.Contexts{})}, nil
}

// Rejoin brings the hot copy of a character together with what PostgreSQL, the
// stream and the mirror know of it, whether the copy is verified or not: for a
// copy that an operator has found to be behind. Rows that are distrusted are
// left out of the hot copy, so that the others decide what they are. The game
// may go on meanwhile.
func (s *Service) Rejoin(ctx context.Context, char events.CharID, distrusted ...events.RowKey) error {
	ctx, cancel := context.WithTimeout(ctx, s.ActionTimeout)
	defer cancel()
	for ctx.Err() == nil {
		loaded, err := s.loadFenced(ctx, char)
		if err != nil {
			return err
		}
		joined, with, err := s.joinAll(ctx, loaded.Without(distrusted), beginningOf(loaded))
		if err != nil {
			return fmt.Errorf("join the copies of character %d: %w", char, err)
		}
		if joined.Version == 0 {
			return nil // nobody knows it
		}
		err = s.commitJoin(ctx, loaded, joined, with)
		if _, moved := errors.AsType[*game.MovedError](err); !moved {
			return err
		}
	}
	return ErrBusy
}

// commitJoin puts what was joined in the place of what was loaded. It returns a
// *game.MovedError where somebody was faster.
func (s *Service) commitJoin(ctx context.Context, loaded *game.Loaded, joined *game.State, with game.Joining) error {
	with.Beginning = loaded.Beginning
	err := s.Hot.CommitJoin(ctx, &loaded.State, joined, with)
	if err == nil {
		s.Metrics.joined()
	}
	return err
}

// load is Hot.Load for readers: the copy is verified first. A character that nobody knows
// yet, or that has the answer to the request, comes back as it is.
func (s *Service) load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error) {
	for {
		loaded, err := s.Hot.Load(ctx, char, want)
		if err != nil || loaded.Verified || loaded.Record != "" {
			return loaded, err
		}
		if known, err := s.verifyKnown(ctx, char); err != nil || !known {
			return loaded, err
		}
	}
}
