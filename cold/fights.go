package cold

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/db"
)

// Fights reads up to limit lines of a character's history, newest first, with
// versions below before.
func (s *Store) Fights(ctx context.Context, char events.CharID, before events.Version, limit int32) ([]game.FightRecord, error) {
	rows, err := db.New(s.pool).Fights(ctx, db.FightsParams{CharID: int64(char), Before: int64(before), MaxRows: limit})
	if err != nil {
		return nil, fmt.Errorf("fights of character %d: %w", char, unavailable(err))
	}
	fights := make([]game.FightRecord, len(rows))
	for i, row := range rows {
		fights[i] = game.FightRecord{
			SessionID: row.SessionID, CharID: events.CharID(row.CharID), Version: events.Version(row.Version),
			Outcome: row.Outcome, StartedAt: row.StartedAt.UTC(), FinishedAt: row.FinishedAt.UTC(),
			Rounds: row.Rounds, XPGained: row.XpGained, Loot: row.Loot,
		}
	}
	return fights, nil
}

// SavedFights tells which of these fights the history has, and at which version.
func (s *Store) SavedFights(ctx context.Context, sessions []uuid.UUID) (map[uuid.UUID]events.Version, error) {
	saved := make(map[uuid.UUID]events.Version, len(sessions))
	if len(sessions) == 0 {
		return saved, nil
	}
	rows, err := db.New(s.pool).SavedFights(ctx, sessions)
	if err != nil {
		return nil, fmt.Errorf("look up %d fights: %w", len(sessions), unavailable(err))
	}
	for _, row := range rows {
		saved[row.SessionID] = events.Version(row.Version)
	}
	return saved, nil
}
