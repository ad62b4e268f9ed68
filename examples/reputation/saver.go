package reputation

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// Schema makes the table that Saver writes.
//
//go:embed schema.sql
var Schema string

// Saver stores standings. The product's own savers let sqlc write the Go side
// of their statement; by hand it is this.
type Saver struct{}

// Scope implements savers.Saver.
func (Saver) Scope() events.Scope { return Scope }

const save = `
INSERT INTO reputation (char_id, faction, version, points)
SELECT unnest($1::bigint[]), unnest($2::text[]), unnest($3::bigint[]), unnest($4::bigint[])
ON CONFLICT (char_id, faction) DO UPDATE
SET version = EXCLUDED.version, points = EXCLUDED.points
WHERE reputation.version < EXCLUDED.version`

// Save implements savers.Saver: it folds the batch to the newest event of each
// row, in key order, and writes them in one statement.
func (Saver) Save(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
	rows, err := fold(batch)
	if err != nil {
		return err
	}
	var chars, versions, points []int64
	var factions []string
	for _, e := range rows {
		standing := e.Data.(Standing)
		chars = append(chars, int64(e.CharID))
		factions = append(factions, standing.Faction)
		versions = append(versions, int64(e.Version))
		points = append(points, standing.Points)
	}
	_, err = tx.Exec(ctx, save, chars, factions, versions, points)
	return err
}

func fold(batch []events.StateChanged) ([]events.StateChanged, error) {
	newest := make(map[string]events.StateChanged)
	for _, e := range batch {
		standing, ok := e.Data.(Standing)
		if !ok {
			return nil, savers.BadEvent(fmt.Errorf("data of type %T", e.Data))
		}
		key := e.CharID.String() + "/" + standing.Faction
		if have, ok := newest[key]; !ok || have.Version < e.Version {
			newest[key] = e
		}
	}
	rows := make([]events.StateChanged, 0, len(newest))
	for _, e := range newest {
		rows = append(rows, e)
	}
	slices.SortFunc(rows, func(a, b events.StateChanged) int {
		return cmp.Or(cmp.Compare(a.CharID, b.CharID), cmp.Compare(a.Data.(Standing).Faction, b.Data.(Standing).Faction))
	})
	return rows, nil
}
