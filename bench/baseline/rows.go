package baseline

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/db"
)

// saveRows saves one event as services commonly do: each row by a statement of
// its own, one after the other. The statements are the product's, for arrays of one.
func saveRows(ctx context.Context, tx pgx.Tx, e *events.StateChanged) error {
	q := db.New(tx)
	switch data := e.Data.(type) {
	case events.Vitals:
		_, err := q.SaveVitals(ctx, db.SaveVitalsParams{
			CharIds: []int64{int64(e.CharID)}, Versions: []int64{int64(e.Version)},
			Hps: []int32{data.HP}, Energies: []int32{data.Energy},
			Zones: []string{data.Location.Zone}, Xs: []float64{data.Location.X}, Ys: []float64{data.Location.Y},
		})
		return err
	case events.Inventory:
		return saveItems(ctx, q, e, data.Items)
	case events.Combat:
		return saveCombat(ctx, q, e, &data)
	case events.Scenario:
		_, err := q.SaveScenarios(ctx, db.SaveScenariosParams{
			CharIds: []int64{int64(e.CharID)}, ScenarioIds: []string{data.ScenarioID}, Versions: []int64{int64(e.Version)},
			SessionIds: []uuid.UUID{e.SessionID}, Steps: []int32{data.Step}, Statuses: []string{data.Status}, Datas: [][]byte{data.Data},
		})
		return err
	}
	return fmt.Errorf("no statement for %T", e.Data)
}

func saveCombat(ctx context.Context, q *db.Queries, e *events.StateChanged, data *events.Combat) error {
	loot, err := json.Marshal(append([]events.ItemChange{}, data.Loot...)) // [] rather than null
	if err != nil {
		return err
	}
	char, version := []int64{int64(e.CharID)}, []int64{int64(e.Version)}
	_, err = q.SaveFights(ctx, db.SaveFightsParams{
		SessionIds: []uuid.UUID{e.SessionID}, CharIds: char, Versions: version, Outcomes: []string{data.Outcome},
		StartedAts: []time.Time{data.StartedAt}, FinishedAts: []time.Time{data.FinishedAt},
		Rounds: []int32{data.Rounds}, XpGained: []int64{data.XPGained}, Loots: [][]byte{loot},
	})
	if err != nil {
		return err
	}
	if _, err := q.SaveProgress(ctx, db.SaveProgressParams{CharIds: char, Versions: version, Xps: []int64{data.XP}}); err != nil {
		return err
	}
	return saveItems(ctx, q, e, data.Loot)
}

// saveItems locks the rows in key order, so that two workers never wait for
// each other.
func saveItems(ctx context.Context, q *db.Queries, e *events.StateChanged, items []events.ItemChange) error {
	items = slices.SortedFunc(slices.Values(items), func(a, b events.ItemChange) int { return cmp.Compare(a.ItemID, b.ItemID) })
	for _, item := range items {
		_, err := q.SaveItems(ctx, db.SaveItemsParams{
			CharIds: []int64{int64(e.CharID)}, ItemIds: []string{item.ItemID},
			Versions: []int64{int64(item.VersionIn(e.Version))}, Quantities: []int64{item.Quantity},
		})
		if err != nil {
			return err
		}
	}
	return nil
}
