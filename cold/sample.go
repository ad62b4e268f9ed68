package cold

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

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
