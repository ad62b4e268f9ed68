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
}

// give takes the items from the sender into escrow.
func (s *Service) give(ctx context.Context, trade game.Trade) (*handover, error) {
	a := action{
		char: trade.From, opts: tradeOptions(trade.ID, trade.From, trade.To, trade.Items),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, t, err := game.Give(&l.State, v, trade)
			return change, &Answer{Trade: &t}, err
		},
	}
	a.load = func(ctx context.Context) (*game.Loaded, error) {
		l, err := s.loadForTrade(ctx, &a, trade.ID, itemIDs(trade.Items), anyTrade)
		if err == nil && l.Verified && l.Record == "" {
			err = s.checkRoom(ctx, trade)
		}
		return l, err
	}
	change, answer, err := s.settle(ctx, a)
	if err != nil {
		return nil, err
	}
	h := &handover{trade: *answer.Trade, replayed: answer.Replayed}
	if change != nil {
		h.carried = change.Events[0].Transfers()
	} else if !h.trade.Completed() {
		h.carried, err = s.carriedBy(ctx, trade.From)
	}
	return h, err
}

// receive takes the items out of escrow, to the receiver.
func (s *Service) receive(ctx context.Context, h *handover) error {
	t := h.trade
	if t.Completed() {
		return nil
	}
	deltas := make([]game.ItemDelta, len(t.Items))
	for i, m := range t.Items {
		deltas[i] = game.ItemDelta{ItemID: m.ItemID, Delta: m.Quantity}
	}
	a := action{
		char: t.To, opts: tradeOptions(t.ID, t.From, t.To, deltas),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, t, err := game.Receive(&l.State, v, t, h.carried)
			return change, &Answer{Trade: &t}, err
		},
	}
	a.load = func(ctx context.Context) (*game.Loaded, error) {
		return s.loadForTrade(ctx, &a, t.ID, itemIDs(deltas), (*events.Transfer).Completed)
	}
	change, answer, err := s.commit(ctx, a)
	var replay *game.ReplayError
	if errors.As(err, &replay) {
		answer, err = a.kept(replay.Record)
	}
	if err != nil {
		return fmt.Errorf("transfer %s stays in escrow: %w", t.ID, err)
	}
	h.trade, h.replayed = *answer.Trade, h.replayed || answer.Replayed
	if change != nil {
		h.carried = change.Events[0].Transfers()
		return nil
	}
	known, err := s.carriedBy(ctx, t.To)
	h.carried = append(h.carried, known...)
	return err
}

// tradeOptions are those of both commits of a trade: each character remembers
// it by its id, as it remembers a request by its idempotency key.
func tradeOptions(id uuid.UUID, from, to events.CharID, items []game.ItemDelta) Options {
	parts := []string{"transfer", from.String(), to.String()}
	items = slices.SortedFunc(slices.Values(items), func(a, b game.ItemDelta) int { return cmp.Compare(a.ItemID, b.ItemID) })
	for _, d := range items {
		parts = append(parts, d.ItemID, strconv.FormatInt(d.Delta, 10))
	}
	return Options{Key: tradeKey(id, from), Fingerprint: fingerprint(parts...)}
}

func tradeKey(id uuid.UUID, from events.CharID) string {
	return "transfer:" + from.String() + ":" + id.String()
}

func anyTrade(*events.Transfer) bool { return true }

// loadForTrade loads one side of a trade. Where Redis does not remember the
// trade by its key, it may by the trades that are not saved, or PostgreSQL by
// those that are. PostgreSQL is asked after the load: what was saved and
// forgotten since then has moved the items, which the commit finds out.
func (s *Service) loadForTrade(ctx context.Context, a *action, id uuid.UUID, items []string, counts func(*events.Transfer) bool) (*game.Loaded, error) {
	l, err := s.Hot.Load(ctx, a.char, game.Want{Items: items, Transfers: true, Request: a.opts.Key})
	if err != nil || !l.Verified || l.Record != "" {
		return l, err
	}
	t, known := l.Transfers[id]
	if !known || !counts(&t) {
		t, known = s.savedTrade(ctx, id)
	}
	if !known || !counts(&t) {
		return l, nil
	}
	if t.From != a.char && t.To != a.char {
		return nil, ErrKeyReused
	}
	text, err := json.Marshal(record{Fingerprint: fingerprintOf(&t), Answer: &Answer{Trade: &t}})
	l.Record = string(text)
	return l, err
}

func fingerprintOf(t *events.Transfer) string {
	deltas := make([]game.ItemDelta, len(t.Items))
	for i, m := range t.Items {
		deltas[i] = game.ItemDelta{ItemID: m.ItemID, Delta: m.Quantity}
	}
	return tradeOptions(t.ID, t.From, t.To, deltas).Fingerprint
}

// savedTrade asks PostgreSQL for a trade, and takes no answer for "not known":
// Redis remembers a trade for a day, and trading goes on without PostgreSQL.
func (s *Service) savedTrade(ctx context.Context, id uuid.UUID) (events.Transfer, bool) {
	ctx, cancel := context.WithTimeout(ctx, s.PublishTimeout)
	defer cancel()
	saved, err := s.Cold.Transfers(ctx, []uuid.UUID{id})
	if err != nil {
		s.Log.Debug("trade not looked up", "transfer_id", id, "err", err)
	}
	t, ok := saved[id]
	return t, ok
}

// checkRoom makes sure, before anything is taken, that the receiver can be
// reached and that the items fit.
func (s *Service) checkRoom(ctx context.Context, trade game.Trade) error {
	l, err := s.load(ctx, trade.To, game.Want{Items: itemIDs(trade.Items)})
	if err != nil {
		return err
	}
	_, err = game.ChangeItems(&l.State, l.Version+1, trade.Items)
	return err
}

// carriedBy lists the unsaved trades that a character knows of.
func (s *Service) carriedBy(ctx context.Context, char events.CharID) ([]events.Transfer, error) {
	l, err := s.Hot.Load(ctx, char, game.Want{Transfers: true})
	if err != nil {
		return nil, err
	}
	return slices.Collect(maps.Values(l.Transfers)), nil
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
	stored, err := s.Stream.Send(game.Origin{Trace: opts.Trace}, both...)
	if err == nil && opts.Durability != DurabilityHot {
		short, cancel := context.WithTimeout(ctx, s.PublishTimeout)
		defer cancel()
		err = stored(short)
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

// publishTradeAgain is publishTrade where somebody else may have done it.
func (s *Service) publishTradeAgain(ctx context.Context, h *handover, opts Options) Durability {
	row, dirty := events.RowTransfer(h.trade.ID), false
	for _, char := range []events.CharID{h.trade.From, h.trade.To} {
		l, err := s.Hot.Load(ctx, char, game.Want{Transfers: true, Dirty: true})
		if err != nil {
			return DurabilityHot
		}
		_, marked := l.Dirty[row]
		dirty = dirty || marked
		h.carried = append(h.carried, slices.Collect(maps.Values(l.Transfers))...)
	}
	if !dirty {
		// A mark goes when a saver has the row, and when Redis loses its memory.
		if saved, ok := s.savedTrade(ctx, h.trade.ID); ok && saved.Completed() {
			return DurabilityCold
		}
	}
	return s.publishTrade(ctx, h, opts)
}

// arrived reports whether the receiver has the items of a trade. The sender's
// copy shows the trade in escrow until it is saved, because what the receiver's
// side rests on is the receiver's to know.
func (s *Service) arrived(ctx context.Context, t *events.Transfer) (bool, error) {
	key := tradeKey(t.ID, t.From)
	l, err := s.Hot.Load(ctx, t.To, game.Want{Request: key, Transfers: true})
	if err != nil {
		return false, err
	}
	known := l.Transfers[t.ID]
	return l.Record != "" || known.Completed(), nil
}

// completeEscrow goes on with the trades that a sender has in escrow, and
// publishes them. It returns how many events it sent. A receiver that cannot be
// reached leaves its trade in escrow, for the next time.
func (s *Service) completeEscrow(ctx context.Context, sender *game.State) (int, error) {
	sent := 0
	for _, t := range sender.Transfers {
		if t.From != sender.Char || t.Completed() {
			continue
		}
		h := &handover{trade: t, carried: slices.Collect(maps.Values(sender.Transfers))}
		if err := s.receive(ctx, h); err != nil {
			s.Log.Warn("trade not completed", "transfer_id", t.ID, "err", err)
			continue
		}
		stored, err := s.Stream.Send(game.Origin{}, h.both()...)
		if err == nil {
			err = stored(ctx)
		}
		if err != nil {
			return sent, fmt.Errorf("publish transfer %s: %w", t.ID, err)
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
