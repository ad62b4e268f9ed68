package cold

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/db"
)

// Transfer reads one trade that is saved, completed or in escrow. ok is false where
// there is none.
func (s *Store) Transfer(ctx context.Context, id uuid.UUID) (t events.Transfer, ok bool, err error) {
	t, err = s.trades.one(ctx, id)
	return t, t.ID != uuid.Nil, err
}

// Transfers reads the trades among ids that are saved, completed or in escrow.
func (s *Store) Transfers(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]events.Transfer, error) {
	saved := make(map[uuid.UUID]events.Transfer, len(ids))
	if len(ids) == 0 {
		return saved, nil
	}
	rows, err := db.New(s.pool).TransfersOf(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("look up %d trades: %w", len(ids), unavailable(err))
	}
	for _, row := range rows {
		t, err := transferFrom(row)
		if err != nil {
			return nil, err
		}
		saved[t.ID] = t
	}
	return saved, nil
}

func transferFrom(row db.Transfer) (events.Transfer, error) {
	t := events.Transfer{
		ID: row.TransferID, From: events.CharID(row.FromChar), To: events.CharID(row.ToChar),
		Version: events.Version(row.Version), ToVersion: events.Version(row.ToVersion),
	}
	if err := json.Unmarshal(row.Items, &t.Items); err != nil {
		return t, fmt.Errorf("items of trade %s: %w", t.ID, err)
	}
	return t, nil
}

// EscrowBefore returns up to limit senders of trades that were begun before a
// version and are in escrow.
func (s *Store) EscrowBefore(ctx context.Context, v events.Version, limit int) ([]events.CharID, error) {
	rows, err := db.New(s.pool).EscrowBefore(ctx, db.EscrowBeforeParams{Version: int64(v), MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("trades in escrow: %w", unavailable(err))
	}
	chars := make([]events.CharID, len(rows))
	for i, row := range rows {
		chars[i] = events.CharID(row)
	}
	return chars, nil
}

// loadEscrow reads the trades of which these characters are the senders and
// that are not completed.
func loadEscrow(ctx context.Context, q *db.Queries, ids []int64, states map[events.CharID]*game.State) error {
	rows, err := q.Escrow(ctx, ids)
	if err != nil {
		return err
	}
	for _, row := range rows {
		t, err := transferFrom(row)
		if err != nil {
			return err
		}
		s := states[t.From]
		s.Transfers[t.ID] = t
		seen(s, row.Version)
	}
	return nil
}
