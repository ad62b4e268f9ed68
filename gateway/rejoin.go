package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// rejoin brings the hot copy of a character together with what PostgreSQL, the
// stream and the mirror know of it. It is how a character comes into Redis, and
// how a copy that may be older than what was acknowledged becomes good again
// after Redis was restarted, failed over or emptied. A character that
// nobody knows is made only where create says so. It returns errJoined when the
// copy is verified.
func (s *Service) rejoin(ctx context.Context, char events.CharID, create bool) error {
	loaded, err := s.loadFenced(ctx, char)
	if err != nil {
		return err
	}
	if loaded.Verified {
		return errJoined // another gateway was faster
	}
	joined, dirty, answers, err := s.joinAll(ctx, &loaded.State, beginningOf(loaded))
	if err != nil && !loaded.Known && isAway(err, "nats") {
		joined, dirty, err = s.newcomer(ctx, char, err)
	}
	if err != nil {
		return fmt.Errorf("join the copies of character %d: %w", char, err)
	}
	if joined.Version == 0 && !create {
		return nil // nobody knows it
	}
	err = s.Hot.CommitJoin(ctx, &loaded.State, joined, game.Joining{Dirty: dirty, Answers: answers, Born: loaded.Born})
	if err == nil {
		s.Metrics.joined()
	}
	var moved *game.MovedError
	if err == nil || errors.As(err, &moved) {
		return errJoined
	}
	return err
}

// newcomer is a character that Redis does not have while NATS is away: all of it
// is in PostgreSQL where Redis is complete; else cause stands.
func (s *Service) newcomer(ctx context.Context, char events.CharID, cause error) (*game.State, []events.Row, error) {
	complete, err := s.Hot.Complete(ctx)
	if err != nil || !complete {
		return nil, nil, cause
	}
	saved, err := s.Cold.Load(ctx, char)
	if err != nil {
		return nil, nil, err
	}
	return saved, unsaved(saved, saved, nil, game.Contexts{}), nil
}

// errFence is the reason for a pause after Redis has lost its memory.
var errFence = errors.New("it was started or emptied a moment ago, and what was on its way is let through first")

// loadFenced loads all of a character when nothing can be on its way any more that was
// committed before Redis was last started, failed over or emptied: what is joined then
// is complete.
func (s *Service) loadFenced(ctx context.Context, char events.CharID) (*game.Loaded, error) {
	want := game.Everything
	want.Born = true
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
			return nil, events.Unavailable("redis", errFence)
		}
	}
}

// noteBeginnings notes the beginnings of all slots where that of one was just noted: a
// server was started or emptied. If each were noted when it is first asked for, each
// would be a loss of its own, with a fence and a reading of the trades on their way.
func (s *Service) noteBeginnings(ctx context.Context) {
	if !s.noting.TryLock() {
		return // somebody does
	}
	defer s.noting.Unlock()
	if err := s.Hot.NoteBeginnings(ctx); err != nil {
		s.Log.Debug("beginnings not noted; each will be when it is asked for", "err", err)
	}
}

// A beginning is since when the copies near a character's are kept, in this run
// of Redis.
type beginning struct {
	token string
	at    time.Time // by our own clock
}

func beginningOf(l *game.Loaded) beginning { return beginning{l.Born, time.Now().Add(-l.Age)} }

func isAway(err error, what string) bool {
	var away *events.UnavailableError
	return errors.As(err, &away) && away.What == what
}

// load is Hot.Load of a copy that is verified; a character that nobody knows
// yet comes back as it is. Both for reading.
func (s *Service) load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error) {
	for {
		loaded, err := s.Hot.Load(ctx, char, want)
		if err != nil || loaded.Verified {
			return loaded, err
		}
		if err := s.rejoin(ctx, char, false); !errors.Is(err, errJoined) {
			return loaded, err
		}
	}
}

// joinAll returns the joined state, which of its rows are not saved, and the
// requests that recent events have answered.
func (s *Service) joinAll(ctx context.Context, hot *game.State, begun beginning) (*game.State, []events.Row, []game.Request, error) {
	// The order matters: what is saved when the reads of the stream begin is in the
	// read of what is saved.
	tied, err := s.tiesOf(ctx, hot.Char, begun)
	if err != nil {
		return nil, nil, nil, err
	}
	tailOf, err := s.Stream.Tails(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	var (
		tail  game.Tail
		saved *game.State
		shown game.Contexts
	)
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		tail, err = tailOf(reading, hot.Char)
		return err
	})
	group.Go(func() (err error) {
		saved, err = s.Cold.Load(reading, hot.Char)
		return err
	})
	group.Go(func() (err error) {
		shown, err = s.Mirror.Get(reading, hot.Char)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, nil, nil, err
	}
	joined := &game.State{Char: hot.Char}
	game.Join(joined, hot)
	game.Join(joined, saved)
	game.Join(joined, tied)
	game.Join(joined, &game.State{Version: shown.Version, Contexts: shown})
	for i := range tail.Events {
		game.Join(joined, game.FromEvent(&tail.Events[i]))
	}
	if err := s.joinLost(ctx, joined, saved, tail.Settled); err != nil {
		return nil, nil, nil, err
	}
	fights, err := s.Cold.SavedFights(ctx, fightsOf(joined))
	if err != nil {
		return nil, nil, nil, err
	}
	closeEnded(joined, fights)
	if joined.Version == shown.Version && !maps.Equal(joined.Contexts.Active, shown.Active) {
		joined.Version++ // the mirror only moves forwards
	}
	if err := s.dropSavedTrades(ctx, joined); err != nil {
		return nil, nil, nil, err
	}
	answers, err := answered(tail.Answers)
	return joined, unsaved(joined, saved, fights, shown), answers, err
}

// joinLost joins what PostgreSQL has lost: where it does not have what savers had
// settled, it was replaced by an older copy, or is empty. Nobody knows then what else
// is missing, so all that the stream still has is joined.
func (s *Service) joinLost(ctx context.Context, joined, saved *game.State, settled *events.StateChanged) error {
	if settled == nil || saved.Has(game.FromEvent(settled)) {
		return nil
	}
	s.Log.Debug("PostgreSQL lacks what was saved; all that the stream has is joined", "char_id", joined.Char)
	return s.Stream.Retained(ctx, joined.Char, time.Time{}, func(e *events.StateChanged) { game.Join(joined, game.FromEvent(e)) })
}

// answered are the requests to remember. A trade is one, by its id, of both sides.
func answered(all []game.Answered) (requests []game.Request, err error) {
	for _, a := range all {
		if a.Trade != nil {
			a.Request.Key = tradeKey(a.Trade.ID)
			if a.Request.Record, err = tradeRecord(a.Trade); err != nil {
				return nil, err
			}
		}
		requests = append(requests, a.Request)
	}
	return requests, nil
}

// dropSavedTrades forgets the trades that PostgreSQL has and that the character
// is done with.
func (s *Service) dropSavedTrades(ctx context.Context, joined *game.State) error {
	saved, err := s.Cold.Transfers(ctx, slices.Collect(maps.Keys(joined.Transfers)))
	for id, t := range saved {
		if t.SettledFor(joined.Char) && t.ToVersion >= joined.Transfers[id].ToVersion {
			delete(joined.Transfers, id)
		}
	}
	return err
}

// fightsOf lists the fights that the state names, open or ended.
func fightsOf(s *game.State) (sessions []uuid.UUID) {
	if open := s.Contexts.Active[game.ContextCombat]; open != uuid.Nil {
		sessions = append(sessions, open)
	}
	for id, session := range s.Sessions {
		if session.Context == game.ContextCombat {
			sessions = append(sessions, id)
		}
	}
	return sessions
}

// closeEnded closes the contexts that have ended, and drops fights that are saved.
func closeEnded(s *game.State, fights map[uuid.UUID]events.Version) {
	s.Contexts.Active = maps.Clone(s.Contexts.Active)
	s.CloseEnded()
	for id := range fights {
		if s.Contexts.Active[game.ContextCombat] == id {
			delete(s.Contexts.Active, game.ContextCombat)
		}
		delete(s.Sessions, id)
	}
}

// unsaved lists the rows of the joined state that PostgreSQL does not have at
// their version, and the contexts where the mirror does not show them.
func unsaved(joined, saved *game.State, fights map[uuid.UUID]events.Version, shown game.Contexts) (rows []events.Row) {
	stored := saved.Rows()
	for id, version := range fights {
		stored[events.RowFight(id)] = version
	}
	for id := range joined.Transfers {
		delete(stored, events.RowTransfer(id)) // one in escrow is not done with when it is stored
	}
	for key, version := range joined.Rows() {
		if stored[key] < version {
			rows = append(rows, events.Row{Key: key, Version: version})
		}
	}
	if len(joined.Contexts.Active)+len(shown.Active) > 0 && !maps.Equal(joined.Contexts.Active, shown.Active) {
		rows = append(rows, events.Row{Key: game.RowContexts, Version: joined.Version})
	}
	return rows
}
