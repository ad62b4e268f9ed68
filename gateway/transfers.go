package gateway

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// A TransferAnswer is what a trade led to.
type TransferAnswer struct {
	TransferID uuid.UUID      `json:"transfer_id"`
	From       events.CharID  `json:"from"`
	To         events.CharID  `json:"to"`
	Version    events.Version `json:"version"`    // the sender's
	ToVersion  events.Version `json:"to_version"` // the receiver's
	Items      []Quantity     `json:"items"`      // what changed hands
	FromItems  []Quantity     `json:"from_items"` // what the sender has of it
	ToItems    []Quantity     `json:"to_items"`   // what the receiver has of it
	Durability Durability     `json:"durability"`
	// Replayed tells that this is the answer of an earlier, equal request.
	Replayed bool `json:"-"`
}

// errTradeReused is returned where a trade's id was used for another trade.
var errTradeReused = errors.New("was used for another transfer; each needs one of its own")

// Transfer moves items between two characters, all or nothing and once, however often it
// is asked for. The two may lie on different servers, so there is no commit of both: the
// sender's takes the items into escrow, then the receiver's takes them out, and whoever
// finds a trade in escrow (a repeat of the request, or the sweeper) goes on with it. Its
// events carry both sides and leave when both are committed, so that PostgreSQL shows
// both at once.
func (s *Service) Transfer(ctx context.Context, trade game.Trade, opts Options) (*TransferAnswer, error) {
	// As in act: what is committed is also completed and published.
	ctx = context.WithoutCancel(ctx)
	h, receiver, err := s.give(ctx, trade)
	if err == nil {
		h, err = s.receive(ctx, h, receiver)
	}
	if errors.Is(err, ErrKeyReused) {
		err = &events.FieldError{Field: "transfer_id", Err: errTradeReused}
	}
	if err != nil {
		return nil, err
	}
	publish := s.publishTrade
	if h.replayed {
		publish = s.publishTradeAgain
	}
	answer := newTransferAnswer(&h.trade)
	answer.Replayed, answer.Durability = h.replayed, publish(ctx, h, opts)
	s.Metrics.acted(opts.Durability, answer.Durability)
	return answer, nil
}

// A handover is a trade as far as it has come. Each step takes one, and returns the next.
type handover struct {
	trade    events.Transfer
	known    []events.Transfer // unsaved trades that this one may rest on
	seen     time.Time         // when the sender's copy was last known to hold the trade
	replayed bool              // this is not the first attempt
}

// after is the handover after a commit of one side, or the repeat of one.
func (h handover) after(change *game.Change, answer *Answer) handover {
	h.trade, h.replayed = *answer.Trade, h.replayed || answer.Replayed
	if change != nil {
		h.known = change.Events[0].Transfers()
	}
	return h
}

// isStale reports whether Redis may have lost a trade since it was seen, or somebody may
// have handed it over: the escrow has to be checked.
func (s *Service) isStale(h handover) bool {
	return h.replayed || time.Since(h.seen) > s.PublishBy/2
}

// give takes the items from the sender into escrow. It returns the receiver, too, which is
// loaded at the same time.
func (s *Service) give(ctx context.Context, trade game.Trade) (h handover, receiver *game.Loaded, err error) {
	change, answer, err := s.commitOnce(ctx, action{
		char: trade.From, opts: tradeOptions(trade),
		load: func(ctx context.Context) (sender *game.Loaded, err error) {
			h.seen = time.Now()
			sender, receiver, err = s.loadBoth(ctx, trade)
			if err == nil && sender.Verified && sender.Record == "" {
				err = s.checkNew(ctx, sender, receiver, trade)
			}
			return sender, err
		},
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, t, err := game.Give(&l.State, v, trade)
			return change, &Answer{Trade: &t}, err
		},
	})
	if err != nil {
		return h, nil, err
	}
	return h.after(change, answer), receiver, nil
}

// loadBoth loads both sides of a trade at once.
func (s *Service) loadBoth(ctx context.Context, trade game.Trade) (sender, receiver *game.Loaded, err error) {
	want := tradeWant(trade, tradeKey(trade.ID))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		receiver, err = s.load(ctx, trade.To, want)
		return err
	})
	sender, err = s.Hot.Load(ctx, trade.From, want)
	return sender, receiver, errors.Join(err, group.Wait())
}

// checkNew makes sure, before anything is taken, that a trade may begin. Where it is known,
// though the sender does not remember its key, it returns a *game.ReplayError: the sender
// may have it among those that are not saved, or the receiver or PostgreSQL know it.
func (s *Service) checkNew(ctx context.Context, sender, receiver *game.Loaded, trade game.Trade) error {
	given, taken := sender.Transfers[trade.ID], receiver.Transfers[trade.ID]
	switch {
	case given.From == trade.From:
		return replayOf(given)
	case receiver.Record != "":
		return &game.ReplayError{Record: receiver.Record}
	case taken.To == trade.To && taken.Completed():
		return replayOf(taken)
	}
	// PostgreSQL is asked after the loads: what was saved and forgotten since
	// has moved the items, which the commit finds out. Where it does not answer
	// the trade is taken for a new one: Redis remembers for a day, and trading
	// goes on without PostgreSQL.
	if t, ok, _ := s.savedTrade(ctx, trade.ID); ok {
		return replayOf(t)
	}
	return game.MayTrade(&sender.State, &receiver.State, trade)
}

// replayOf returns a *game.ReplayError for a trade that was found without its key.
func replayOf(t events.Transfer) error {
	request, err := tradeRequest(&t)
	return cmp.Or[error](err, &game.ReplayError{Record: request.Record})
}

// tradeRequest is what both sides of a trade keep of it.
func tradeRequest(t *events.Transfer) (game.Request, error) {
	a, kept := action{opts: tradeOptions(game.TradeOf(t))}, record{Answer: &Answer{Trade: t}}
	if t.ToVersion == events.TakenBack {
		kept = record{Refusal: newProblem(&events.FieldError{Field: "transfer_id", Err: errTradeReused})}
	}
	return a.keep(kept)
}

// receive takes the items out of escrow, to the receiver, which may have been loaded just
// before.
func (s *Service) receive(ctx context.Context, h handover, receiver *game.Loaded) (handover, error) {
	if h.trade.Completed() {
		return h, nil
	}
	a := action{
		char: h.trade.To, opts: tradeOptions(game.TradeOf(&h.trade)),
		load: func(ctx context.Context) (l *game.Loaded, err error) {
			if l, receiver = receiver, nil; l == nil || s.isStale(h) {
				l, h, err = s.loadReceiver(ctx, h)
			}
			return l, err
		},
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, t, err := game.Receive(&l.State, v, h.trade, h.known)
			return change, &Answer{Trade: &t}, err
		},
	}
	change, answer, err := s.commit(ctx, a)
	if replay, ok := errors.AsType[*game.ReplayError](err); ok {
		answer, err = a.kept(replay.Record)
	}
	if errors.Is(err, ErrKeyReused) { // by a trade with others, so this one can never arrive
		if err = s.takeBack(ctx, h.trade); err == nil {
			return h, ErrKeyReused
		}
	}
	if err == nil && answer.Trade.Version != h.trade.Version {
		err = ErrKeyReused
	}
	if err != nil {
		// The trade still holds the items. A refusal would sound final.
		return h, events.Unavailable("receiver", fmt.Errorf("transfer %s stays in escrow: %w", h.trade.ID, err))
	}
	return h.after(change, answer), nil
}

// loadReceiver loads the receiver of a trade in escrow. Where it has the items already, it
// returns a *game.ReplayError.
func (s *Service) loadReceiver(ctx context.Context, h handover) (*game.Loaded, handover, error) {
	l, err := s.Hot.Load(ctx, h.trade.To, tradeWant(game.TradeOf(&h.trade), tradeKey(h.trade.ID)))
	if err != nil || !l.Verified || l.Record != "" {
		return l, h, err
	}
	if known := l.Transfers[h.trade.ID]; known.From == h.trade.From && known.Completed() {
		return nil, h, replayOf(known)
	}
	if s.isStale(h) { // asked here again, as time has passed
		h, err = s.checkEscrow(ctx, h)
	}
	return l, h, err
}

// tradeOptions are those of both commits of a trade: each character remembers
// it by its id, as it remembers a request by its idempotency key.
func tradeOptions(trade game.Trade) Options {
	parts := []string{"transfer", trade.From.String(), trade.To.String()}
	items := slices.SortedFunc(slices.Values(trade.Items), func(a, b game.ItemDelta) int { return cmp.Compare(a.ItemID, b.ItemID) })
	for _, d := range items {
		parts = append(parts, d.ItemID, strconv.FormatInt(d.Delta, 10))
	}
	return Options{Key: tradeKey(trade.ID), Fingerprint: fingerprint(parts...)}
}

// tradeWant is what has to be loaded of either side, with what was kept for a key.
func tradeWant(trade game.Trade, key string) game.Want {
	return game.Want{Items: game.ItemIDs(trade.Items), Transfers: true, Request: key}
}

// tradeKey is the key by which both sides remember a trade.
func tradeKey(id uuid.UUID) string { return "transfer:" + id.String() }

func newTransferAnswer(t *events.Transfer) *TransferAnswer {
	a := &TransferAnswer{TransferID: t.ID, From: t.From, To: t.To, Version: t.Version, ToVersion: t.ToVersion}
	for _, m := range t.Items {
		a.Items = append(a.Items, Quantity{m.ItemID, m.Quantity})
		a.FromItems = append(a.FromItems, Quantity{m.ItemID, m.FromQuantity})
		a.ToItems = append(a.ToItems, Quantity{m.ItemID, m.ToQuantity})
	}
	return a
}
