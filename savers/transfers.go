package savers

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/db"
)

// belongings are the items that a batch leads to, and the trades between
// characters that they come from. They are saved in one transaction, so that
// both sides of a trade become visible at once.
type belongings struct {
	items  itemRows
	trades map[uuid.UUID]events.Transfer
}

func newBelongings(size int) *belongings {
	return &belongings{items: make(itemRows, size), trades: map[uuid.UUID]events.Transfer{}}
}

// add folds one event into the batch.
func (b *belongings) add(e *events.StateChanged, items []events.ItemChange) {
	b.items.add(e, items)
	for _, t := range e.Transfers() {
		if have, ok := b.trades[t.ID]; !ok || have.Before(&t) {
			b.trades[t.ID] = t
		}
		b.items.addSides(&t)
	}
}

// addSides adds what a trade left to the sender, and to the receiver where it is
// completed. What one in escrow holds is in the trade's own row.
func (r itemRows) addSides(t *events.Transfer) {
	for _, m := range t.Items {
		newest[rowName, int64](r).add(rowName{t.From, m.ItemID}, t.Version, m.FromQuantity)
		if t.Completed() {
			newest[rowName, int64](r).add(rowName{t.To, m.ItemID}, t.ToVersion, m.ToQuantity)
		}
	}
}

func (b *belongings) queue(q *pgx.Batch) error {
	if err := b.items.queue(q); err != nil || len(b.trades) == 0 {
		return err
	}
	var p db.SaveTransfersParams
	ids := slices.SortedFunc(maps.Keys(b.trades), func(x, y uuid.UUID) int { return bytes.Compare(x[:], y[:]) })
	for _, id := range ids {
		t := b.trades[id]
		items, err := json.Marshal(t.Items)
		if err != nil {
			return BadEvent(err)
		}
		p.TransferIds = append(p.TransferIds, id)
		p.FromChars = append(p.FromChars, int64(t.From))
		p.ToChars = append(p.ToChars, int64(t.To))
		p.Versions = append(p.Versions, int64(t.Version))
		p.ToVersions = append(p.ToVersions, int64(t.ToVersion))
		p.Items = append(p.Items, items)
	}
	_, err := db.Queued(q).SaveTransfers(context.Background(), p)
	return err
}
