package gateway

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// others is what all but Redis know of a character.
type others struct {
	tied  *game.State   // the trades on their way
	tail  game.Tail     // the stream
	saved *game.State   // PostgreSQL
	shown game.Contexts // the mirror
}

// readOthers reads what the others know of a character whose copy Redis has kept since
// beginning.
func (s *Service) readOthers(ctx context.Context, char events.CharID, beginning time.Time) (*others, error) {
	// The order matters: the stream leaves out what is saved by the time of Tails, so
	// PostgreSQL has to be read after that.
	tied, err := s.tiesOf(ctx, char, beginning)
	if err != nil {
		return nil, err
	}
	tailOf, err := s.Stream.Tails(ctx)
	if err != nil {
		return nil, err
	}
	o := &others{tied: tied}
	group, reading := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		o.tail, err = tailOf(reading, char)
		return err
	})
	group.Go(func() (err error) {
		o.saved, err = s.Cold.Load(reading, char)
		return err
	})
	group.Go(func() (err error) {
		o.shown, err = s.Mirror.Get(reading, char)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return o, nil
}

// joinAll returns the joined state, and what to commit beside it: which of its rows are
// not saved, and the requests that recent events have answered.
func (s *Service) joinAll(ctx context.Context, hot *game.State, beginning time.Time) (*game.State, game.Joining, error) {
	var with game.Joining
	o, err := s.readOthers(ctx, hot.Char, beginning)
	if err != nil {
		return nil, with, err
	}
	joined := &game.State{Char: hot.Char}
	game.Join(joined, hot)
	game.Join(joined, o.saved)
	game.Join(joined, o.tied)
	game.Join(joined, &game.State{Version: o.shown.Version, Contexts: o.shown})
	for _, contexts := range entered(o.tail.Answers) {
		game.Join(joined, &game.State{Version: contexts.Version, Contexts: contexts})
	}
	for i := range o.tail.Events {
		game.Join(joined, game.FromEvent(&o.tail.Events[i]))
	}
	if err := s.joinLost(ctx, joined, o.saved, o.tail.Settled); err != nil {
		return nil, with, err
	}
	fights, err := s.Cold.SavedFights(ctx, joined.Fights())
	if err != nil {
		return nil, with, err
	}
	joined.CloseEnded(fights)
	if joined.Version == o.shown.Version && !maps.Equal(joined.Contexts.Active, o.shown.Active) {
		joined.Version++ // the mirror only moves forwards
	}
	if err := s.dropSavedTrades(ctx, joined); err != nil {
		return nil, with, err
	}
	with.Dirty = joined.Unsaved(o.saved, fights, o.shown)
	with.Answers, err = answered(o.tail.Answers)
	return joined, with, err
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

// entered are the contexts that answered requests have led to. The events of a switch say
// what it has ended, and the mirror may not show yet what it has begun.
func entered(all []game.Answered) (contexts []game.Contexts) {
	for _, a := range all {
		var kept record
		if json.Unmarshal([]byte(a.Request.Record), &kept) == nil && kept.Answer != nil && kept.Context != "" {
			contexts = append(contexts, game.Contexts{
				Version: kept.Answer.Version, Active: map[game.Context]uuid.UUID{kept.Context: kept.Answer.SessionID},
			})
		}
	}
	return contexts
}

// answered are the requests to remember. A trade is one, by its id, of both sides.
func answered(all []game.Answered) (requests []game.Request, err error) {
	for _, a := range all {
		if a.Trade != nil {
			if a.Request, err = tradeRequest(a.Trade); err != nil {
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
		known := joined.Transfers[id]
		held := known.From == joined.Char && known.InEscrow() // not by another trade of the same id
		if t.SettledFor(joined.Char) && t.ToVersion >= known.ToVersion && (!held || t.SameSides(&known)) {
			delete(joined.Transfers, id)
		}
	}
	return err
}
