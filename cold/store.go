// Package cold reads the saved state of characters from PostgreSQL. Writing is
// the savers' business.
package cold

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/db"
)

// Store reads the cold state. It is safe for concurrent use.
type Store struct {
	pool       *pgxpool.Pool
	characters *asking[events.CharID, *game.State]
	trades     *asking[uuid.UUID, events.Transfer]
}

// New reads through pool, which stays the caller's.
func New(pool *pgxpool.Pool) *Store {
	s := &Store{pool: pool}
	s.characters, s.trades = newAsking(s.LoadMany), newAsking(s.Transfers)
	return s
}

// connectTimeout bounds one attempt to reach the server.
const connectTimeout = 3 * time.Second

// OpenPool makes a pool of at most conns connections. It does not wait for the
// server.
func OpenPool(ctx context.Context, url string, conns int32) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", err)
	}
	cfg.MaxConns = conns
	cfg.ConnConfig.ConnectTimeout = connectTimeout
	cfg.AfterConnect = func(_ context.Context, conn *pgx.Conn) error {
		writeUUIDs(conn.TypeMap())
		return nil
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}

// Ping returns nil when PostgreSQL answers.
func (s *Store) Ping(ctx context.Context) error { return unavailable(s.pool.Ping(ctx)) }

func unavailable(err error) error { return events.Unavailable(events.PostgreSQL, err) }

// Load reads one character. The state's version is 0 where PostgreSQL does not
// know it. It is for reading: others may have the same one.
func (s *Store) Load(ctx context.Context, char events.CharID) (*game.State, error) {
	return s.characters.one(ctx, char)
}

// LoadMany reads some characters as they were at one moment. Each of them is in
// the answer.
func (s *Store) LoadMany(ctx context.Context, chars []events.CharID) (map[events.CharID]*game.State, error) {
	states := make(map[events.CharID]*game.State, len(chars))
	ids := make([]int64, len(chars))
	for i, char := range chars {
		ids[i] = int64(char)
		states[char] = &game.State{Char: char, Items: map[string]game.Item{}, Scenarios: map[string]game.Scenario{}, Transfers: map[uuid.UUID]events.Transfer{}}
	}
	err := s.snapshot(ctx,
		func(ctx context.Context, q *db.Queries) error {
			rows, err := q.VitalsOf(ctx, ids)
			for _, row := range rows {
				addVitals(states[events.CharID(row.CharID)], row)
			}
			return err
		},
		func(ctx context.Context, q *db.Queries) error {
			rows, err := q.ProgressOf(ctx, ids)
			for _, row := range rows {
				s := states[events.CharID(row.CharID)]
				s.Progress = game.Progress{XP: row.Xp, Version: seen(s, row.Version)}
			}
			return err
		},
		func(ctx context.Context, q *db.Queries) error {
			rows, err := q.ItemsOf(ctx, ids)
			for _, row := range rows {
				s := states[events.CharID(row.CharID)]
				s.Items[row.ItemID] = game.Item{Quantity: row.Quantity, Version: seen(s, row.Version)}
			}
			return err
		},
		func(ctx context.Context, q *db.Queries) error {
			rows, err := q.ScenariosOf(ctx, ids)
			for _, row := range rows {
				addScenario(states[events.CharID(row.CharID)], row)
			}
			return err
		},
		func(ctx context.Context, q *db.Queries) error { return loadEscrow(ctx, q, ids, states) },
	)
	if err != nil {
		return nil, fmt.Errorf("load %d characters: %w", len(chars), unavailable(err))
	}
	return states, nil
}

// seen raises the state's version to that of a row.
func seen(s *game.State, version int64) events.Version {
	s.Version = max(s.Version, events.Version(version))
	return events.Version(version)
}

func addVitals(s *game.State, row db.CharacterVital) {
	s.Vitals = &game.Vitals{Version: seen(s, row.Version), Vitals: events.Vitals{
		HP: row.Hp, Energy: row.Energy,
		Location: events.Location{Zone: row.Zone, X: row.X, Y: row.Y},
	}}
}

func addScenario(s *game.State, row db.ScenarioProgress) {
	s.Scenarios[row.ScenarioID] = game.Scenario{
		Step: row.Step, Status: row.Status, Data: row.Data,
		SessionID: row.SessionID, Version: seen(s, row.Version),
	}
}
