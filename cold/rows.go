package cold

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/db"
)

// versions are rows, by character.
type versions map[events.CharID]events.RowVersions

func (v versions) set(char int64, row events.RowKey, version int64) {
	v[events.CharID(char)][row] = events.Version(version)
}

// Rows returns at which versions the rows that wanted names are saved. Each
// character of wanted is in the answer. It reads nothing else, in one round trip:
// a bag may be large, and is often not what is asked for.
func (s *Store) Rows(ctx context.Context, wanted map[events.CharID]events.RowVersions) (map[events.CharID]events.RowVersions, error) {
	saved := make(versions, len(wanted))
	of := rowsOf{fights: make(map[uuid.UUID]events.CharID), transfers: make(map[uuid.UUID][]events.CharID)}
	for char, rows := range wanted {
		saved[char] = make(events.RowVersions, len(rows))
		for row := range rows {
			of.add(char, row)
		}
	}
	if err := s.snapshot(ctx, of.reads(saved)...); err != nil {
		return nil, fmt.Errorf("rows of %d characters: %w", len(wanted), unavailable(err))
	}
	return saved, nil
}

// rowsOf are rows by the table that they are in.
type rowsOf struct {
	vitals, progress []int64
	items            db.SavedItemsParams
	scenarios        db.SavedScenariosParams
	fights           map[uuid.UUID]events.CharID
	transfers        map[uuid.UUID][]events.CharID
}

func (of *rowsOf) add(char events.CharID, row events.RowKey) {
	if id, ok := row.Fight(); ok {
		of.fights[id] = char
		return
	}
	if id, ok := row.Transfer(); ok {
		of.transfers[id] = append(of.transfers[id], char)
		return
	}
	switch row.Scope() {
	case events.ScopeVitals:
		of.vitals = append(of.vitals, int64(char))
	case events.ScopeCombat:
		of.progress = append(of.progress, int64(char))
	case events.ScopeInventory:
		of.items.CharIds = append(of.items.CharIds, int64(char))
		of.items.ItemIds = append(of.items.ItemIds, row.Name())
	case events.ScopeScenario:
		of.scenarios.CharIds = append(of.scenarios.CharIds, int64(char))
		of.scenarios.ScenarioIds = append(of.scenarios.ScenarioIds, row.Name())
	}
}

// reads are one for each table that has some of the rows.
func (of *rowsOf) reads(into versions) (reads []read) {
	when := func(some bool, r read) {
		if some {
			reads = append(reads, r)
		}
	}
	when(len(of.vitals) > 0, func(ctx context.Context, q *db.Queries) error {
		rows, err := q.SavedVitals(ctx, of.vitals)
		for _, row := range rows {
			into.set(row.CharID, events.RowVitals, row.Version)
		}
		return err
	})
	when(len(of.progress) > 0, func(ctx context.Context, q *db.Queries) error {
		rows, err := q.SavedProgress(ctx, of.progress)
		for _, row := range rows {
			into.set(row.CharID, events.RowProgress, row.Version)
		}
		return err
	})
	when(len(of.items.CharIds) > 0, func(ctx context.Context, q *db.Queries) error {
		rows, err := q.SavedItems(ctx, of.items)
		for _, row := range rows {
			into.set(row.CharID, events.RowItem(row.ItemID), row.Version)
		}
		return err
	})
	when(len(of.scenarios.CharIds) > 0, func(ctx context.Context, q *db.Queries) error {
		rows, err := q.SavedScenarios(ctx, of.scenarios)
		for _, row := range rows {
			into.set(row.CharID, events.RowScenario(row.ScenarioID), row.Version)
		}
		return err
	})
	when(len(of.fights) > 0, func(ctx context.Context, q *db.Queries) error {
		rows, err := q.SavedFights(ctx, slices.Collect(maps.Keys(of.fights)))
		for _, row := range rows {
			into.set(int64(of.fights[row.SessionID]), events.RowFight(row.SessionID), row.Version)
		}
		return err
	})
	when(len(of.transfers) > 0, func(ctx context.Context, q *db.Queries) error { return of.readTransfers(ctx, q, into) })
	return reads
}

// readTransfers reads the trades that a character is done with.
func (of *rowsOf) readTransfers(ctx context.Context, q *db.Queries, into versions) error {
	rows, err := q.TransfersOf(ctx, slices.Collect(maps.Keys(of.transfers)))
	if err != nil {
		return err
	}
	for _, row := range rows {
		t, err := transferFrom(row)
		if err != nil {
			return err
		}
		for _, char := range of.transfers[t.ID] {
			if t.SettledFor(char) {
				into[char][events.RowTransfer(t.ID)] = t.Row().Version
			}
		}
	}
	return nil
}
