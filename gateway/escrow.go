package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// errEscrowGone is returned for a trade that the sender's copy does not hold any more and
// PostgreSQL does not have: Redis has lost it, or it was saved and PostgreSQL has lost
// it.
var errEscrowGone = errors.New("the sender does not hold it any more; repeat the transfer")

// checkEscrow makes sure that a trade may still be handed over: the sender's copy holds it,
// and neither PostgreSQL nor the stream has it completed (else it returns a
// *game.ReplayError). A receiver that has forgotten it would get the items a second time.
func (s *Service) checkEscrow(ctx context.Context, h handover) (handover, error) {
	seen := time.Now()
	sender, err := s.load(ctx, h.trade.From, game.Want{Transfers: true})
	if err != nil {
		return h, err
	}
	saved, ok, err := s.savedTrade(ctx, h.trade.ID)
	switch {
	case err != nil:
		return h, err
	case ok && (saved.Completed() || !saved.SameSides(&h.trade)): // or the id is another trade's
		return h, replayOf(saved)
	}
	held := sender.Transfers[h.trade.ID]
	if held.From != h.trade.From || held.Version != h.trade.Version || held.ToVersion == events.TakenBack {
		return h, errEscrowGone
	}
	told, err := s.toldTrade(ctx, h.trade)
	switch {
	case err != nil:
		return h, err
	case told.Completed():
		return h, replayOf(told)
	case told.ToVersion == events.TakenBack:
		return h, errEscrowGone
	}
	h.seen, h.known = seen, slices.Collect(maps.Values(sender.Transfers))
	return h, nil
}

// takeBack returns to the sender the items of a trade that can never arrive: its receiver
// knows the id as another trade's, which began at the same moment or had been forgotten.
// It returns them once: where that was done before, and the sender's copy has the trade
// in escrow again, as after a loss, the trade alone is set right.
func (s *Service) takeBack(ctx context.Context, t events.Transfer) error {
	opts := tradeOptions(game.TradeOf(&t))
	opts.Key += ":back"
	answer, err := s.takeBackAs(ctx, t, opts)
	if err == nil && answer.Replayed {
		t.ToVersion = events.TakenBack
		_, err = s.takeBackAs(ctx, t, Options{})
	}
	return err
}

// takeBackAs takes a trade back under an idempotency key.
func (s *Service) takeBackAs(ctx context.Context, t events.Transfer, opts Options) (*Answer, error) {
	var told events.Transfer
	return s.act(ctx, action{
		char: t.From, opts: opts,
		load: func(ctx context.Context) (*game.Loaded, error) {
			saved, _, err := s.savedTrade(ctx, t.ID)
			if err != nil {
				return nil, err
			}
			if told, err = s.toldTrade(ctx, t); err != nil {
				return nil, err
			}
			if told.Completed() || saved.Completed() && saved.SameSides(&t) {
				return nil, errArrived
			}
			return s.Hot.Load(ctx, t.From, tradeWant(game.TradeOf(&t), opts.Key))
		},
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, err := game.TakeBack(&l.State, v, told)
			return change, &Answer{}, err
		},
	})
}

// errArrived is returned where the receiver knows a trade's id as another trade's and yet
// had the items once: which of the two counts cannot be told from here.
var errArrived = errors.New("the receiver has had the items, and knows the id as another transfer's")

// toldTrade returns a trade as the newest events of its sides have it, saved or not: a
// PostgreSQL that was replaced by an older copy may still show it in escrow when it was
// completed long ago.
func (s *Service) toldTrade(ctx context.Context, t events.Transfer) (events.Transfer, error) {
	since := t.Version.Time().Add(-events.MaxAhead) // a version may be ahead of the clock
	for _, char := range []events.CharID{t.From, t.To} {
		err := s.Stream.Retained(ctx, char, since, func(e *events.StateChanged) {
			for _, other := range e.Transfers() {
				if other.ID == t.ID && other.From == t.From && other.To == t.To && t.Before(&other) {
					t = other
				}
			}
		})
		if err != nil {
			return t, err
		}
	}
	return t, nil
}

// savedTrade asks PostgreSQL for a trade.
func (s *Service) savedTrade(ctx context.Context, id uuid.UUID) (t events.Transfer, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.PublishTimeout)
	defer cancel()
	t, ok, err = s.Cold.Transfer(ctx, id)
	if err != nil {
		s.Log.Debug("trade not looked up", "transfer_id", id, "err", err)
	}
	return t, ok, err
}

// errNoAck is the reason where the stream did not answer in time.
var errNoAck = errors.New("no ack in time")

// completeEscrow hands over the trades that a sender has in escrow, and publishes them.
// It returns how many events it sent. A trade whose receiver cannot be reached stays in
// escrow, for the next time.
func (s *Service) completeEscrow(ctx context.Context, sender *game.State) (int, error) {
	sent := 0
	for _, t := range sender.Transfers {
		if t.From != sender.Char || !t.InEscrow() {
			continue
		}
		h := handover{trade: t, known: slices.Collect(maps.Values(sender.Transfers)), seen: time.Now(), replayed: true}
		h, err := s.receive(ctx, h, nil)
		if err != nil {
			s.Log.Warn("trade not completed", "transfer_id", t.ID, "err", err)
			continue
		}
		switch s.publishTradeAgain(ctx, h, Options{Durability: DurabilityStream}) {
		case DurabilityHot:
			return sent, fmt.Errorf("publish transfer %s: %w", t.ID, events.Unavailable(events.NATS, errNoAck))
		case DurabilityCold:
			// The receiver's save has stored it as completed. A save of the sender that
			// says so, too, clears the sender's mark.
			sender.Transfers[t.ID] = h.trade
		default:
			sent += 2
		}
	}
	return sent, nil
}
