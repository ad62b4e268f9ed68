package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

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

// errTradeReused is the reason where a trade's id was another trade's.
var errTradeReused = errors.New("was used for another transfer")

// Transfer moves items between two characters, all or nothing and once, however
// often it is asked for. The two may lie on different servers, so there is no
// commit of both: the sender's takes the items into escrow, then the receiver's
// takes them out, and who finds a trade in escrow (a repeat of the request, or
// the sweeper) goes on with it. Its events carry both sides and leave when both
// are committed, so that PostgreSQL shows both at once.
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
	s.Metrics.acted(answer.Durability)
	return answer, nil
}

// A handover is a trade on its way, with the unsaved trades that it rests on.
type handover struct {
	trade    events.Transfer
	carried  []events.Transfer
	replayed bool // somebody was here before
	// seen is when the sender's copy was last known to hold the trade.
	seen time.Time
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
	a.load = func(ctx context.Context) (*game.Loaded, error) {
		h.seen = time.Now()
		l, err := s.Hot.Load(ctx, trade.From, game.Want{Items: itemIDs(trade.Items), Transfers: true, Request: a.opts.Key})
		if err != nil || !l.Verified || l.Record != "" {
			return l, err
		}
		l.Record, err = s.rememberedTrade(ctx, l, trade, a.opts.Key)
		return l, err
	}
	change, answer, err := s.settle(ctx, a)
	if err != nil {
		return nil, err
	}
	h.trade, h.replayed = *answer.Trade, answer.Replayed
	if change != nil {
		h.carried = change.Events[0].Transfers()
	}
	return h, nil
}

// rememberedTrade looks, before anything is taken, for a trade that the sender's
// copy does not remember by its key: among its own that are not saved, with the
// receiver, and among the saved ones. It makes sure that the receiver can be
// reached and that the items fit. It returns the record of the trade, or "".
func (s *Service) rememberedTrade(ctx context.Context, sender *game.Loaded, trade game.Trade, key string) (string, error) {
	if t, ok := sender.Transfers[trade.ID]; ok && t.From == trade.From {
		return tradeRecord(&t)
	}
	receiver, err := s.load(ctx, trade.To, game.Want{Items: itemIDs(trade.Items), Transfers: true, Request: key})
	if err != nil {
		return "", err
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
	_, err = game.ChangeItems(&receiver.State, receiver.Version+1, trade.Items)
	return "", err
}

// tradeRecord is the record of a trade that is known otherwise.
func tradeRecord(t *events.Transfer) (string, error) {
	opts := tradeOptions(t.ID, t.From, t.To, deltasOf(t))
	text, err := json.Marshal(record{Fingerprint: opts.Fingerprint, Answer: &Answer{Trade: t}})
	return string(text), err
}

func deltasOf(t *events.Transfer) []game.ItemDelta {
	deltas := make([]game.ItemDelta, len(t.Items))
	for i, m := range t.Items {
		deltas[i] = game.ItemDelta{ItemID: m.ItemID, Delta: m.Quantity}
	}
	return deltas
}

// receive takes the items out of escrow, to the receiver.
func (s *Service) receive(ctx context.Context, h *handover) error {
	t := h.trade
	if t.Completed() {
		return nil
	}
	deltas := deltasOf(&t)
	a := action{
		char: t.To, opts: tradeOptions(t.ID, t.From, t.To, deltas),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, t, err := game.Receive(&l.State, v, t, h.carried)
			return change, &Answer{Trade: &t}, err
		},
	}
	a.load = func(ctx context.Context) (*game.Loaded, error) {
		l, err := s.Hot.Load(ctx, t.To, game.Want{Items: itemIDs(deltas), Transfers: true, Request: a.opts.Key})
		if err != nil || !l.Verified || l.Record != "" {
			return l, err
		}
		if known := l.Transfers[t.ID]; known.From == t.From && known.Completed() {
			l.Record, err = tradeRecord(&known)
			return l, err
		}
		if h.replayed || time.Since(h.seen) > s.PublishBy/2 {
			l.Record, err = s.checkEscrow(ctx, h)
		}
		return l, err
	}
	change, answer, err := s.commit(ctx, a)
	var replay *game.ReplayError
	if errors.As(err, &replay) {
		answer, err = a.kept(replay.Record)
	}
	if err == nil && answer.Trade.Version != t.Version {
		err = ErrKeyReused
	}
	if err != nil {
		// The items are the trade's. A refusal would sound final.
		return events.Unavailable("receiver", fmt.Errorf("transfer %s stays in escrow: %w", t.ID, err))
	}
	h.trade, h.replayed = *answer.Trade, h.replayed || answer.Replayed
	if change != nil {
		h.carried = change.Events[0].Transfers()
	}
	return nil
}

// errEscrowGone is the reason where the sender's copy does not hold a trade any
// more and PostgreSQL does not have it: Redis has lost it, or it was saved and
// PostgreSQL has lost it.
var errEscrowGone = errors.New("the sender does not hold it any more; repeat the transfer")

// checkEscrow makes sure that a trade may still be handed over: the sender's
// copy holds it, and PostgreSQL does not have it completed. A receiver that has
// forgotten it would get the items a second time. It returns the record of a
// trade that is completed.
func (s *Service) checkEscrow(ctx context.Context, h *handover) (string, error) {
	seen := time.Now()
	sender, err := s.load(ctx, h.trade.From, game.Want{Transfers: true})
	if err != nil {
		return "", err
	}
	saved, ok, err := s.savedTrade(ctx, h.trade.ID)
	switch {
	case err != nil:
		return "", err
	case ok && saved.Completed():
		return tradeRecord(&saved)
	}
	held := sender.Transfers[h.trade.ID]
	if held.From != h.trade.From || held.Version != h.trade.Version {
		return "", errEscrowGone
	}
	h.seen, h.carried = seen, slices.Collect(maps.Values(sender.Transfers))
	return "", nil
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

// tradeKey is by what both sides remember a trade.
func tradeKey(id uuid.UUID) string { return "transfer:" + id.String() }

// savedTrade asks PostgreSQL for a trade.
func (s *Service) savedTrade(ctx context.Context, id uuid.UUID) (t events.Transfer, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.PublishTimeout)
	defer cancel()
	saved, err := s.Cold.Transfers(ctx, []uuid.UUID{id})
	if err != nil {
		s.Log.Debug("trade not looked up", "transfer_id", id, "err", err)
	}
	t, ok = saved[id]
	return t, ok, err
}

// both says what the trade did to both sides.
func (h *handover) both() []events.StateChanged {
	carried := game.Carried(append(slices.Clone(h.carried), h.trade))
	return []events.StateChanged{
		game.TransferEvent(h.trade, h.trade.From, carried),
		game.TransferEvent(h.trade, h.trade.To, carried),
	}
}

// publishTrade is publish for both sides of a trade.
func (s *Service) publishTrade(ctx context.Context, h *handover, opts Options) Durability {
	both := h.both()
	stored, err := s.send(ctx, h.seen, game.Origin{Trace: opts.Trace}, both...)
	if err == nil && opts.Durability != DurabilityHot {
		err = stored()
	}
	if err != nil {
		s.Log.Debug("trade not published; the dirty marks stay", "transfer_id", h.trade.ID, "err", err)
	}
	if err != nil || opts.Durability == DurabilityHot {
		return DurabilityHot
	}
	if opts.Durability != DurabilityCold {
		return DurabilityStream
	}
	for i := range both {
		if !s.awaitSaved(ctx, both[i].CharID, both[i].Rows()) {
			return DurabilityStream
		}
	}
	return DurabilityCold
}

// publishTradeAgain is publishTrade where somebody else may have done it. A side
// whose copy in Redis does not know its half of the trade is joined again.
func (s *Service) publishTradeAgain(ctx context.Context, h *handover, opts Options) Durability {
	if saved, ok, _ := s.savedTrade(ctx, h.trade.ID); ok && saved.Completed() {
		s.catchUp(ctx, h)
		return DurabilityCold
	}
	h.seen = time.Now()
	for _, char := range []events.CharID{h.trade.From, h.trade.To} {
		l, err := s.Hot.Load(ctx, char, game.Want{Transfers: true})
		if err != nil {
			return DurabilityHot
		}
		h.carried = append(h.carried, slices.Collect(maps.Values(l.Transfers))...)
	}
	reached := s.publishTrade(ctx, h, opts)
	s.catchUp(ctx, h)
	return reached
}

// catchUp joins those sides of a trade again that Redis brought back older.
func (s *Service) catchUp(ctx context.Context, h *handover) {
	for char, version := range map[events.CharID]events.Version{h.trade.From: h.trade.Version, h.trade.To: h.trade.ToVersion} {
		l, err := s.Hot.Load(ctx, char, game.Want{})
		if err == nil && l.Version < version {
			err = s.Rejoin(ctx, char)
		}
		if err != nil {
			s.Log.Warn("side of a repeated trade not joined", "char_id", char, "transfer_id", h.trade.ID, "err", err)
		}
	}
}

// errNoAck is the reason where the stream did not answer in time.
var errNoAck = errors.New("no ack in time")

// completeEscrow goes on with the trades that a sender has in escrow, and
// publishes them. It returns how many events it sent. A receiver that cannot be
// reached leaves its trade in escrow, for the next time.
func (s *Service) completeEscrow(ctx context.Context, sender *game.State) (int, error) {
	sent := 0
	for _, t := range sender.Transfers {
		if t.From != sender.Char || t.Completed() {
			continue
		}
		h := &handover{trade: t, carried: slices.Collect(maps.Values(sender.Transfers)), replayed: true, seen: time.Now()}
		if err := s.receive(ctx, h); err != nil {
			s.Log.Warn("trade not completed", "transfer_id", t.ID, "err", err)
			continue
		}
		if s.publishTradeAgain(ctx, h, Options{Durability: DurabilityStream}) == DurabilityHot {
			return sent, fmt.Errorf("publish transfer %s: %w", t.ID, events.Unavailable("nats", errNoAck))
		}
		sent += 2
	}
	return sent, nil
}

func newTransferAnswer(t *events.Transfer) *TransferAnswer {
	a := &TransferAnswer{TransferID: t.ID, From: t.From, To: t.To, Version: t.Version, ToVersion: t.ToVersion}
	for _, m := range t.Items {
		a.Items = append(a.Items, Quantity{m.ItemID, m.Quantity})
		a.FromItems = append(a.FromItems, Quantity{m.ItemID, m.FromQuantity})
		a.ToItems = append(a.ToItems, Quantity{m.ItemID, m.ToQuantity})
	}
	return a
}
