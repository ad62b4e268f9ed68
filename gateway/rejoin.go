package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// joinUnverified brings the hot copy of a character together with what PostgreSQL, the
// stream and the mirror know of it. It is how a character comes into Redis, and
// how a copy that may be older than what was acknowledged becomes good again
// after Redis was restarted, failed over or emptied. A character that
// nobody knows is made only where create says so. It returns errJoined when the
// copy is verified.
func (s *Service) joinUnverified(ctx context.Context, char events.CharID, create bool) error {
	loaded, err := s.loadFenced(ctx, char)
	if err != nil {
		return err
	}
	return s.joinLoaded(ctx, loaded, create)
}

// joinLoaded is joinUnverified from where the fence has let it through.
func (s *Service) joinLoaded(ctx context.Context, loaded *game.Loaded, create bool) error {
	if loaded.Verified {
		return errJoined // another gateway was faster
	}
	char := loaded.Char
	joined, with, err := s.joinAll(ctx, &loaded.State, beginningOf(loaded))
	if err != nil && !loaded.Known && events.IsUnavailable(err, events.NATS) {
		joined, with, err = s.newcomer(ctx, char, err)
	}
	if err != nil {
		return fmt.Errorf("join the copies of character %d: %w", char, err)
	}
	if joined.Version == 0 && !create {
		return nil // nobody knows it
	}
	err = s.commitJoin(ctx, loaded, joined, with)
	if _, moved := errors.AsType[*game.MovedError](err); moved || err == nil {
		return errJoined
	}
	return err
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

// newcomer is a character that Redis does not have while NATS is away: all of it
// is in PostgreSQL where Redis is complete; else cause stands.
func (s *Service) newcomer(ctx context.Context, char events.CharID, cause error) (*game.State, game.Joining, error) {
	complete, err := s.Hot.Complete(ctx)
	if err != nil || !complete {
		return nil, game.Joining{}, cause
	}
	saved, err := s.Cold.Load(ctx, char)
	if err != nil {
		return nil, game.Joining{}, err
	}
	return saved, game.Joining{Dirty: saved.Unsaved(saved, nil, game.Contexts{})}, nil
}

// commitJoin puts what was joined in the place of what was loaded. It is a MovedError where
// somebody was faster.
func (s *Service) commitJoin(ctx context.Context, loaded *game.Loaded, joined *game.State, with game.Joining) error {
	with.Beginning = loaded.Beginning
	err := s.Hot.CommitJoin(ctx, &loaded.State, joined, with)
	if err == nil {
		s.Metrics.joined()
	}
	return err
}

// load is Hot.Load of a copy that is verified; a character that nobody knows
// yet, or that knows the answer to the request, comes back as it is. All for reading.
func (s *Service) load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error) {
	for {
		loaded, err := s.Hot.Load(ctx, char, want)
		if err != nil || loaded.Verified || loaded.Record != "" {
			return loaded, err
		}
		if err := s.joinUnverified(ctx, char, false); !errors.Is(err, errJoined) {
			return loaded, err
		}
	}
}
