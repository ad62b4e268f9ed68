package gateway

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// both returns the events of a trade, one for each side.
func (h handover) both() []events.StateChanged {
	carried := game.RestsOn(h.trade, h.known)
	return []events.StateChanged{
		game.TransferEvent(h.trade, h.trade.From, carried),
		game.TransferEvent(h.trade, h.trade.To, carried),
	}
}

// publishTrade is publish for both sides of a trade.
func (s *Service) publishTrade(ctx context.Context, h handover, opts Options) Durability {
	both := h.both()
	origin := game.Origin{Trace: opts.Trace}
	var save *awaitedSave
	if opts.Durability == DurabilityCold {
		save = newAwaitedSave(map[events.CharID][]events.Row{h.trade.From: both[0].Rows(), h.trade.To: both[1].Rows()})
		origin.Saved = save.done
	}
	reached := DurabilityHot
	stored, err := s.send(ctx, h.seen, origin, both...)
	if err == nil {
		reached, err = s.waitUntil(ctx, opts.Durability, stored, save)
	}
	if err != nil {
		s.Log.Debug("trade not published; the dirty marks stay", "transfer_id", h.trade.ID, "err", err)
	}
	return reached
}

// publishTradeAgain is publishTrade where somebody else may have done it, or where
// an event of another trade has carried this one. A side whose copy in Redis does
// not know its half of the trade is joined again.
func (s *Service) publishTradeAgain(ctx context.Context, h handover, opts Options) Durability {
	if saved, ok, _ := s.savedTrade(ctx, h.trade.ID); ok && saved.Completed() {
		s.clearSavedTrade(ctx, &saved)
		s.catchUp(ctx, h)
		return DurabilityCold
	}
	loading, held := time.Now(), false
	for _, char := range []events.CharID{h.trade.From, h.trade.To} {
		l, err := s.Hot.Load(ctx, char, game.Want{Transfers: true})
		if err != nil {
			return DurabilityHot
		}
		held = held || l.Transfers[h.trade.ID].Version == h.trade.Version
		h.known = append(h.known, slices.Collect(maps.Values(l.Transfers))...)
	}
	if held { // else Redis may have lost it since it was seen
		h.seen = loading
	}
	reached := s.publishTrade(ctx, h, opts)
	s.catchUp(ctx, h)
	return reached
}

// clearSavedTrade clears the marks of both sides of a trade that PostgreSQL has, as
// the save of an event of theirs would have done: there may never be one.
func (s *Service) clearSavedTrade(ctx context.Context, t *events.Transfer) {
	saved := make(map[events.CharID]events.RowVersions, 2)
	for _, char := range []events.CharID{t.From, t.To} {
		side := game.TransferEvent(*t, char, []events.Transfer{*t})
		saved[char] = make(events.RowVersions)
		saved[char].Add(side.Rows()...)
	}
	if err := s.Hot.Clear(ctx, saved); err != nil {
		s.Log.Debug("marks of a saved trade not cleared; cleanup will", "transfer_id", t.ID, "err", err)
	}
}

// catchUp rejoins those sides of a trade whose items are older in Redis than the trade
// left them. Their other rows may be newer.
func (s *Service) catchUp(ctx context.Context, h handover) {
	for char, version := range map[events.CharID]events.Version{h.trade.From: h.trade.Version, h.trade.To: h.trade.ToVersion} {
		l, err := s.Hot.Load(ctx, char, game.Want{Items: game.ItemIDs(game.TradeOf(&h.trade).Items)})
		if err == nil && slices.ContainsFunc(h.trade.Items, func(m events.Moved) bool { return l.Items[m.ItemID].Version < version }) {
			err = s.Rejoin(ctx, char)
		}
		if err != nil {
			s.Log.Warn("side of a repeated trade not joined", "char_id", char, "transfer_id", h.trade.ID, "err", err)
		}
	}
}
