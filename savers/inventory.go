package savers

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/db"
)

// InventoryStateSaver updates the items table with what became of the items.
// Quantity 0 stays as a tombstone, so that a late event cannot bring an item back.
type InventoryStateSaver struct{}

// Scope implements Saver.
func (InventoryStateSaver) Scope() events.Scope { return events.ScopeInventory }

// Save implements Saver.
func (s InventoryStateSaver) Save(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
	return saveQueued(ctx, tx, s, batch)
}

// Queue implements Queuer.
func (InventoryStateSaver) Queue(q *pgx.Batch, batch []events.StateChanged) error {
	rows := newBelongings(len(batch))
	for i := range batch {
		data, err := dataOf[events.Inventory](&batch[i])
		if err != nil {
			return err
		}
		rows.add(&batch[i], data.Items)
	}
	return rows.queue(q)
}

// itemRows are the quantities that a batch leads to, of bags and of loot.
type itemRows newest[rowName, int64]

func (r itemRows) add(e *events.StateChanged, items []events.ItemChange) {
	for _, item := range items {
		newest[rowName, int64](r).add(rowName{e.CharID, item.ItemID}, item.VersionIn(e.Version), item.Quantity)
	}
}

func (r itemRows) queue(q *pgx.Batch) error {
	if len(r) == 0 {
		return nil
	}
	n := len(r)
	p := db.SaveItemsParams{
		CharIds: make([]int64, 0, n), ItemIds: make([]string, 0, n), Versions: make([]int64, 0, n), Quantities: make([]int64, 0, n),
	}
	for _, key := range newest[rowName, int64](r).keys(compareRowNames) {
		p.CharIds = append(p.CharIds, int64(key.char))
		p.ItemIds = append(p.ItemIds, key.name)
		p.Versions = append(p.Versions, int64(r[key].version))
		p.Quantities = append(p.Quantities, r[key].value)
	}
	_, err := db.Queued(q).SaveItems(context.Background(), p)
	return err
}
