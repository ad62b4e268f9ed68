package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Dispatch orders a save: it reads the scope's hot state and publishes it, each row at
// the version at which it was changed. Any save that is not the publish of one's own
// commit is ordered through it or DispatchVerified. It returns how many events the stream
// has stored.
func (s *Service) Dispatch(ctx context.Context, scope events.Scope, char events.CharID) (int, error) {
	startedAt := time.Now()
	want, _ := wantOf(scope) // what has no hot state has no events
	loaded, err := s.Hot.Load(ctx, char, want)
	if err != nil {
		return 0, fmt.Errorf("dispatch %s of character %d: %w", scope, char, err)
	}
	return s.dispatchLoaded(ctx, scope, loaded, startedAt)
}

// DispatchVerified is Dispatch of a character whose copy may not be verified, or not be
// in Redis: it is joined first. For a character that nobody knows it returns ErrUnknown.
func (s *Service) DispatchVerified(ctx context.Context, scope events.Scope, char events.CharID) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.ActionTimeout)
	defer cancel()
	startedAt := time.Now()
	want, _ := wantOf(scope)
	loaded, err := s.load(ctx, char, want)
	if err != nil {
		return 0, err
	}
	if loaded.Version == 0 {
		return 0, ErrUnknown
	}
	if time.Since(startedAt) > s.PublishBy/2 { // the copy had to be joined first
		return s.Dispatch(ctx, scope, char)
	}
	return s.dispatchLoaded(ctx, scope, loaded, startedAt)
}

// dispatchLoaded publishes what was loaded after startedAt. As with a commit, what was
// loaded too long ago is not published any more: Redis may have lost it, and the
// character may have been joined without it. The marks bring it back.
func (s *Service) dispatchLoaded(ctx context.Context, scope events.Scope, loaded *game.Loaded, startedAt time.Time) (completed int, err error) {
	char := loaded.Char
	if completed, err = s.completeEscrow(ctx, &loaded.State); err != nil {
		return 0, err
	}
	batch := game.Snapshot(&loaded.State, scope, s.Cause)
	if len(batch) == 0 {
		return completed, nil
	}
	if time.Since(startedAt) > s.PublishBy {
		return 0, fmt.Errorf("dispatch %s of character %d: %w", scope, char, events.Unavailable(events.Redis, errLate))
	}
	stored, err := s.Stream.Send(game.Origin{}, batch...)
	if err == nil {
		err = stored(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("dispatch %s of character %d: %w", scope, char, err)
	}
	return completed + len(batch), nil
}

// wantOf is what a save of a scope needs to have loaded; false where the scope has no hot
// state.
func wantOf(scope events.Scope) (game.Want, bool) {
	switch scope {
	case events.ScopeVitals:
		return game.Want{Vitals: true}, true
	case events.ScopeInventory:
		return game.Want{AllItems: true, Transfers: true, Dirty: true}, true
	case events.ScopeScenario:
		return game.Want{Scenarios: true}, true
	case events.ScopeCombat:
		return game.Want{Sessions: true, Dirty: true}, true
	}
	return game.Want{}, false
}
