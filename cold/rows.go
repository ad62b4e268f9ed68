package cold

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

// Rows returns at which version each row of some characters is saved. Fights
// are among them as far as wanted names them: the rest of a history is of no
// use to anybody who asks. Each character of wanted is in the answer.
func (s *Store) Rows(ctx context.Context, wanted map[events.CharID]map[events.RowKey]events.Version) (map[events.CharID]map[events.RowKey]events.Version, error) {
	chars := make([]events.CharID, 0, len(wanted))
	owner := make(map[uuid.UUID]events.CharID)
	for char, rows := range wanted {
		chars = append(chars, char)
		for row := range rows {
			if session, ok := row.Fight(); ok {
				owner[session] = char
			}
		}
	}
	states, err := s.LoadMany(ctx, chars)
	if err != nil {
		return nil, err
	}
	saved := make(map[events.CharID]map[events.RowKey]events.Version, len(chars))
	for char, state := range states {
		saved[char] = state.Rows()
	}
	sessions := make([]uuid.UUID, 0, len(owner))
	for session := range owner {
		sessions = append(sessions, session)
	}
	fights, err := s.SavedFights(ctx, sessions)
	for session, version := range fights {
		saved[owner[session]][events.RowFight(session)] = version
	}
	if err != nil {
		return nil, err
	}
	return saved, s.addTransfers(ctx, saved, wanted)
}

// sampleSource finds, for each of some points, the first character at or above
// it in any table: four looks into an index a point, however large the tables.
const sampleSource = `
SELECT LEAST(
	(SELECT char_id FROM character_vitals   WHERE char_id >= p ORDER BY char_id LIMIT 1),
	(SELECT char_id FROM character_progress WHERE char_id >= p ORDER BY char_id LIMIT 1),
	(SELECT char_id FROM items              WHERE char_id >= p ORDER BY char_id LIMIT 1),
	(SELECT char_id FROM scenario_progress  WHERE char_id >= p ORDER BY char_id LIMIT 1))
FROM unnest($1::bigint[]) AS p`

const highestSource = `
SELECT COALESCE(GREATEST(
	(SELECT max(char_id) FROM character_vitals), (SELECT max(char_id) FROM character_progress),
	(SELECT max(char_id) FROM items), (SELECT max(char_id) FROM scenario_progress)), 0)`

// Sample returns up to n characters that PostgreSQL has: the first at or above
// random numbers below the highest. One may be among them twice.
func (s *Store) Sample(ctx context.Context, random *rand.Rand, n int) ([]events.CharID, error) {
	var highest int64
	if err := s.pool.QueryRow(ctx, highestSource).Scan(&highest); err != nil {
		return nil, fmt.Errorf("sample characters: %w", unavailable(err))
	}
	if highest == 0 {
		return nil, nil
	}
	points := make([]int64, n)
	for i := range points {
		points[i] = 1 + random.Int64N(highest)
	}
	rows, err := s.pool.Query(ctx, sampleSource, points)
	if err != nil {
		return nil, fmt.Errorf("sample characters: %w", unavailable(err))
	}
	chars, err := pgx.CollectRows(rows, pgx.RowTo[events.CharID])
	if err != nil {
		return nil, fmt.Errorf("sample characters: %w", unavailable(err))
	}
	return chars, nil
}
