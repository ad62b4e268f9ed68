package gateway

import (
	"context"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// SetVitals replaces a character's vitals.
func (s *Service) SetVitals(ctx context.Context, char events.CharID, vitals events.Vitals, opts Options) (*Answer, error) {
	return s.act(ctx, action{
		char: char, opts: opts,
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			return game.SetVitals(&l.State, v, vitals), &Answer{}, nil
		},
	})
}

// ChangeItems gives and takes items, all or nothing.
func (s *Service) ChangeItems(ctx context.Context, char events.CharID, deltas []game.ItemDelta, opts Options) (*Answer, error) {
	ids := game.ItemIDs(deltas)
	return s.act(ctx, action{
		char: char, opts: opts,
		want: &game.Want{Items: ids, Transfers: true},
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, err := game.ChangeItems(&l.State, v, deltas)
			if err != nil {
				return nil, nil, err
			}
			return change, &Answer{Items: quantities(ids, change)}, nil
		},
	})
}

// AdvanceCombat records progress of the open fight, in Redis only.
func (s *Service) AdvanceCombat(ctx context.Context, char events.CharID, in game.Round, opts Options) (*Answer, error) {
	return s.inSession(ctx, char, in.SessionID, game.Want{Sessions: true}, opts, func(l *game.Loaded, v events.Version) (*game.Change, error) {
		return game.AdvanceCombat(&l.State, v, in)
	})
}

// AdvanceScenario records progress of the open scenario.
func (s *Service) AdvanceScenario(ctx context.Context, char events.CharID, in game.Step, opts Options) (*Answer, error) {
	return s.inSession(ctx, char, in.SessionID, game.Want{Sessions: true, Scenarios: true}, opts, func(l *game.Loaded, v events.Version) (*game.Change, error) {
		return game.AdvanceScenario(&l.State, v, in)
	})
}

// Touch is a sign of life from a session.
func (s *Service) Touch(ctx context.Context, char events.CharID, context game.Context, session uuid.UUID, opts Options) (*Answer, error) {
	return s.inSession(ctx, char, session, game.Want{}, opts, func(l *game.Loaded, v events.Version) (*game.Change, error) {
		return game.Touch(&l.State, v, context, session)
	})
}

// FinishInventory closes the bag.
func (s *Service) FinishInventory(ctx context.Context, char events.CharID, session uuid.UUID, opts Options) (*Answer, error) {
	return s.inSession(ctx, char, session, game.Want{Sessions: true}, opts, func(l *game.Loaded, v events.Version) (*game.Change, error) {
		return game.FinishInventory(&l.State, v, session)
	})
}

// FinishScenario completes the open scenario.
func (s *Service) FinishScenario(ctx context.Context, char events.CharID, session uuid.UUID, opts Options) (*Answer, error) {
	return s.inSession(ctx, char, session, game.Want{Sessions: true, Scenarios: true}, opts, func(l *game.Loaded, v events.Version) (*game.Change, error) {
		return game.FinishScenario(&l.State, v, session)
	})
}

// FinishCombat ends the open fight and grants what it won: the explicit trigger
// of a save.
func (s *Service) FinishCombat(ctx context.Context, char events.CharID, session uuid.UUID, in game.Result, opts Options) (*Answer, error) {
	ids := game.ItemIDs(in.Loot)
	return s.act(ctx, action{
		char: char, opts: opts,
		want: &game.Want{Sessions: true, Likely: []uuid.UUID{session}, Progress: true, Items: ids, Transfers: true},
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, err := game.FinishCombat(&l.State, v, session, in)
			if err != nil {
				return nil, nil, err
			}
			return change, &Answer{SessionID: session, XP: &change.Progress.XP, Items: quantities(ids, change)}, nil
		},
	})
}

// inSession is an action of an open session that answers with the session only.
func (s *Service) inSession(ctx context.Context, char events.CharID, session uuid.UUID, want game.Want, opts Options, decide func(*game.Loaded, events.Version) (*game.Change, error)) (*Answer, error) {
	want.Likely = []uuid.UUID{session}
	return s.act(ctx, action{
		char: char, opts: opts,
		want: &want,
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, err := decide(l, v)
			return change, &Answer{SessionID: session}, err
		},
	})
}

// loader returns a load whose result is not remembered.
func (s *Service) loader(char events.CharID, want game.Want) func(context.Context) (*game.Loaded, error) {
	return func(ctx context.Context) (*game.Loaded, error) { return s.Hot.Load(ctx, char, want) }
}

// quantities lists what the change leaves of some items, in their order.
func quantities(ids []string, change *game.Change) []Quantity {
	out := make([]Quantity, len(ids))
	for i, id := range ids {
		out[i] = Quantity{ItemID: id, Quantity: change.Items[id].Quantity}
	}
	return out
}
