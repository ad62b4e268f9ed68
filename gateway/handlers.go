package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

func (s *Service) putVitals(ctx context.Context, c *call) (int, any, error) {
	vitals, err := events.DecodeVitals(c.body)
	if err == nil {
		err = vitals.Validate(nil)
	}
	if err != nil {
		return 0, nil, err
	}
	answer, err := s.SetVitals(ctx, c.char, vitals, c.opts)
	return http.StatusOK, answer, err
}

func (s *Service) postInventory(ctx context.Context, c *call) (int, any, error) {
	deltas, err := decodeDeltas(c.body)
	if err != nil {
		return 0, nil, err
	}
	answer, err := s.ChangeItems(ctx, c.char, deltas, c.opts)
	return http.StatusOK, answer, err
}

func (s *Service) postContext(ctx context.Context, c *call) (int, any, error) {
	entry, err := decodeEntry(game.Context(c.path("context")), c.body)
	if err != nil {
		return 0, nil, err
	}
	if entry.Force, err = c.flag("force"); err != nil {
		return 0, nil, err
	}
	answer, err := s.Enter(ctx, c.char, entry, c.opts)
	return http.StatusCreated, answer, err
}

func (s *Service) patchContext(ctx context.Context, c *call) (int, any, error) {
	switch context := game.Context(c.path("context")); context {
	case game.ContextScenario:
		step, err := decodeStep(c.body)
		if err != nil {
			return 0, nil, err
		}
		answer, err := s.AdvanceScenario(ctx, c.char, step, c.opts)
		return http.StatusOK, answer, err
	case game.ContextCombat:
		round, err := decodeRound(c.body)
		if err != nil {
			return 0, nil, err
		}
		answer, err := s.AdvanceCombat(ctx, c.char, round, c.opts)
		return http.StatusOK, answer, err
	case game.ContextInventory:
		session, err := decodeSession(c.body)
		if err != nil {
			return 0, nil, err
		}
		answer, err := s.Touch(ctx, c.char, context, session, c.opts)
		return http.StatusOK, answer, err
	default:
		return 0, nil, badContext(context)
	}
}

func (s *Service) finishContext(ctx context.Context, c *call) (int, any, error) {
	switch context := game.Context(c.path("context")); context {
	case game.ContextCombat:
		session, result, err := decodeResult(c.body)
		if err != nil {
			return 0, nil, err
		}
		answer, err := s.FinishCombat(ctx, c.char, session, result, c.opts)
		return http.StatusOK, answer, err
	case game.ContextScenario:
		session, err := decodeSession(c.body)
		if err != nil {
			return 0, nil, err
		}
		answer, err := s.FinishScenario(ctx, c.char, session, c.opts)
		return http.StatusOK, answer, err
	case game.ContextInventory:
		session, err := decodeSession(c.body)
		if err != nil {
			return 0, nil, err
		}
		answer, err := s.FinishInventory(ctx, c.char, session, c.opts)
		return http.StatusOK, answer, err
	default:
		return 0, nil, badContext(context)
	}
}

func badContext(context game.Context) error {
	return badParameter("context", errors.New("must be combat, inventory or scenario, not "+strconv.Quote(string(context))))
}

func (a *Answer) replayed() bool         { return a.Replayed }
func (a *TransferAnswer) replayed() bool { return a.Replayed }

func (s *Service) postTransfer(ctx context.Context, c *call) (int, any, error) {
	trade, err := decodeTrade(c.body)
	if err != nil {
		return 0, nil, err
	}
	answer, err := s.Transfer(ctx, trade, c.opts)
	return http.StatusOK, answer, err
}

// dispatched is the answer of the dispatcher.
type dispatched struct {
	CharID     events.CharID `json:"char_id"`
	Scope      events.Scope  `json:"scope"`
	Events     int           `json:"events"` // how many the stream has stored
	Durability Durability    `json:"durability"`
}

func (s *Service) postSync(ctx context.Context, c *call) (int, any, error) {
	scope := events.Scope(c.path("scope"))
	if _, hot := wantOf(scope); !hot {
		return 0, nil, badParameter("scope", errors.New("must be combat, inventory, scenario or vitals, not "+strconv.Quote(string(scope))))
	}
	n, err := s.DispatchVerified(ctx, scope, c.char)
	return http.StatusAccepted, dispatched{c.char, scope, n, DurabilityStream}, err
}
