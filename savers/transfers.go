package savers

import (
	"bytes"
	"cmp"
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
	trades map[tradeName]events.Transfer
}

// tradeName names a trade. An id that was used for trades of several is folded for each:
// whose row it is, is PostgreSQL's to say.
type tradeName struct {
	id       uuid.UUID
	from, to events.CharID
}

func compareTradeNames(a, b tradeName) int {
	return cmp.Or(bytes.Compare(a.id[:], b.id[:]), cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
}

func newBelongings(size int) *belongings {
	return &belongings{items: make(itemRows, size), trades: map[tradeName]events.Transfer{}}
}

// add folds one event into the batch.
func (b *belongings) add(e *events.StateChanged, items []events.ItemChange) {
	b.items.add(e, items)
	for _, t := range e.Transfers() {
		name := tradeName{t.ID, t.From, t.To}
		if have, ok := b.trades[name]; !ok || have.Before(&t) {
			b.trades[name] = t
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
	names := slices.SortedFunc(maps.Keys(b.trades), compareTradeNames)
	for len(names) > 0 { // once, but for such ids
		var p db.SaveTransfersParams
		var left []tradeName
		for i, name := range names {
			if i > 0 && name.id == names[i-1].id {
				left = append(left, name)
				continue
			}
			if err := addTrade(&p, b.trades[name]); err != nil {
				return err
			}
		}
		if _, err := db.Queued(q).SaveTransfers(context.Background(), p); err != nil {
			return err
		}
		names = left
	}
	return nil
}

func addTrade(p *db.SaveTransfersParams, t events.Transfer) error {
	items, err := json.Marshal(t.Items)
	if err != nil {
		return BadEvent(err)
	}
	p.TransferIds = append(p.TransferIds, t.ID)
	p.FromChars = append(p.FromChars, int64(t.From))
	p.ToChars = append(p.ToChars, int64(t.To))
	p.Versions = append(p.Versions, int64(t.Version))
	p.ToVersions = append(p.ToVersions, int64(t.ToVersion))
	p.Items = append(p.Items, items)
	return nil
}
