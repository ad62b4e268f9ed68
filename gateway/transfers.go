package gateway

import (
	"cmp"
	"context"
	"encoding/json"
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
	h, err := s.give(ctx, trade)
	if err == nil {
		err = s.receive(ctx, h)
	}
	if errors.Is(err, ErrKeyReused) {
		err = &events.FieldError{Field: "transfer_id", Err: errTradeReused}
	}
	if err != nil {
		return nil, err
	}
	answer := newTransferAnswer(&h.trade)
	answer.Replayed = h.replayed
	if h.replayed {
		answer.Durability = s.publishTradeAgain(ctx, h, opts)
	} else {
		answer.Durability = s.publishTrade(ctx, h, opts)
	}
	s.Metrics.acted(opts.Durability, answer.Durability)
	return answer, nil
}

// A handover is a trade on its way, with the unsaved trades that it rests on.
type handover struct {
	trade    events.Transfer
	carried  []events.Transfer
	replayed bool // this is not the first attempt
	// seen is when the sender's copy was last known to hold the trade.
	seen time.Time
	// receiver is what was loaded of the receiver, until it is used.
	receiver *game.Loaded
}

// give takes the items from the sender into escrow.
func (s *Service) give(ctx context.Context, trade game.Trade) (*handover, error) {
	h := new(handover)
	a := action{
		char: trade.From, opts: tradeOptions(trade.ID, trade.From, trade.To, trade.Items),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, t, err := game.Give(&l.State, v, trade)
			return change, &Answer{Trade: &t}, err
		},
	}
	a.load = func(ctx context.Context) (l *game.Loaded, err error) {
		h.seen = time.Now()
		want := game.Want{Items: game.ItemIDs(trade.Items), Transfers: true, Request: a.opts.Key}
		if l, h.receiver, err = s.loadBoth(ctx, trade, want); err != nil || !l.Verified || l.Record != "" {
			return l, err
		}
		l.Record, err = s.rememberedTrade(ctx, l, h.receiver, trade)
		return l, err
	}
	change, answer, err := s.commitOnce(ctx, a)
	if err != nil {
		return nil, err
	}
	h.trade, h.replayed = *answer.Trade, answer.Replayed
	if change != nil {
		h.carried = change.Events[0].Transfers()
	}
	return h, nil
}

// loadBoth loads both sides of a trade at once.
func (s *Service) loadBoth(ctx context.Context, trade game.Trade, want game.Want) (sender, receiver *game.Loaded, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		receiver, err = s.load(ctx, trade.To, want)
		return err
	})
	sender, err = s.Hot.Load(ctx, trade.From, want)
	return sender, receiver, errors.Join(err, group.Wait())
}

// rememberedTrade looks, before anything is taken, for a trade that the sender's
// copy does not remember by its key: among its own that are not saved, with the
// receiver, and among the saved ones. It makes sure that the receiver can be
// reached, that the items fit, and that not too many trades wait to be saved. It
// returns the record of the trade, or "".
func (s *Service) rememberedTrade(ctx context.Context, sender, receiver *game.Loaded, trade game.Trade) (string, error) {
	if t, ok := sender.Transfers[trade.ID]; ok && t.From == trade.From {
		return tradeRecord(&t)
	}
	if receiver.Record != "" {
		return receiver.Record, nil
	}
	if t := receiver.Transfers[trade.ID]; t.To == trade.To && t.Completed() {
		return tradeRecord(&t)
	}
	// PostgreSQL is asked after the loads: what was saved and forgotten since
	// has moved the items, which the commit finds out. Where it does not answer
	// the trade is taken for a new one: Redis remembers for a day, and trading
	// goes on without PostgreSQL.
	if t, ok, _ := s.savedTrade(ctx, trade.ID); ok {
		return tradeRecord(&t)
	}
	if err := game.RoomForTrade(&sender.State, &receiver.State, trade); err != nil {
		return "", err
	}
	_, err := game.ChangeItems(&receiver.State, receiver.Version+1, trade.Items)
	return "", err
}

// tradeRecord is the record of a trade that was found without its key.
func tradeRecord(t *events.Transfer) (string, error) {
	kept := record{Fingerprint: tradeOptions(t.ID, t.From, t.To, game.DeltasOf(t)).Fingerprint}
	if t.ToVersion == events.TakenBack {
		kept.Refusal = newProblem(&events.FieldError{Field: "transfer_id", Err: errTradeReused})
	} else {
		kept.Answer = &Answer{Trade: t}
	}
	text, err := json.Marshal(kept)
	return string(text), err
}

// receive takes the items out of escrow, to the receiver.
func (s *Service) receive(ctx context.Context, h *handover) error {
	t := h.trade
	if t.Completed() {
		return nil
	}
	deltas := game.DeltasOf(&t)
	a := action{
		char: t.To, opts: tradeOptions(t.ID, t.From, t.To, deltas),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, t, err := game.Receive(&l.State, v, t, h.carried)
			return change, &Answer{Trade: &t}, err
		},
	}
	a.load = func(ctx context.Context) (*game.Loaded, error) {
		if l := h.receiver; l != nil && !s.isStale(h) {
			h.receiver = nil
			return l, nil
		}
		l, err := s.Hot.Load(ctx, t.To, game.Want{Items: game.ItemIDs(deltas), Transfers: true, Request: a.opts.Key})
		if err != nil || !l.Verified || l.Record != "" {
			return l, err
		}
		if known := l.Transfers[t.ID]; known.From == t.From && known.Completed() {
			l.Record, err = tradeRecord(&known)
			return l, err
		}
		if s.isStale(h) { // asked again, as time has passed
			l.Record, err = s.checkEscrow(ctx, h)
		}
		return l, err
	}
	change, answer, err := s.commit(ctx, a)
	if replay, ok := errors.AsType[*game.ReplayError](err); ok {
		answer, err = a.kept(replay.Record)
		if errors.Is(err, ErrKeyReused) {
			if err = s.takeBack(ctx, t); err == nil {
				return ErrKeyReused
			}
		}
	}
	if err == nil && answer.Trade.Version != t.Version {
		err = ErrKeyReused
	}
	if err != nil {
		// The trade still holds the items. A refusal would sound final.
		return events.Unavailable("receiver", fmt.Errorf("transfer %s stays in escrow: %w", t.ID, err))
	}
	h.trade, h.replayed = *answer.Trade, h.replayed || answer.Replayed
	if change != nil {
		h.carried = change.Events[0].Transfers()
	}
	return nil
}

// isStale reports whether Redis may have lost a trade since the sender was known to hold it,
// or somebody may have handed it over: the escrow has to be checked.
func (s *Service) isStale(h *handover) bool {
	return h.replayed || time.Since(h.seen) > s.PublishBy/2
}

// tradeOptions are those of both commits of a trade: each character remembers
// it by its id, as it remembers a request by its idempotency key.
func tradeOptions(id uuid.UUID, from, to events.CharID, items []game.ItemDelta) Options {
	parts := []string{"transfer", from.String(), to.String()}
	items = slices.SortedFunc(slices.Values(items), func(a, b game.ItemDelta) int { return cmp.Compare(a.ItemID, b.ItemID) })
	for _, d := range items {
		parts = append(parts, d.ItemID, strconv.FormatInt(d.Delta, 10))
	}
	return Options{Key: tradeKey(id), Fingerprint: fingerprint(parts...)}
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
