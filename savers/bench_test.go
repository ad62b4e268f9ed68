package savers_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// BenchmarkFold turns a batch of 2,500 events about 1,000 characters into
// statements, without a database.
func BenchmarkFold(b *testing.B) {
	for _, c := range []struct {
		saver savers.Queuer
		data  func(i int) events.Data
	}{
		{savers.VitalsStateSaver{}, func(i int) events.Data {
			return events.Vitals{HP: int32(i % 100), Location: events.Location{Zone: "harbor", X: float64(i)}}
		}},
		{savers.InventoryStateSaver{}, func(i int) events.Data { return events.Inventory{Items: foldedItems(i)} }},
		{savers.CombatStateSaver{}, func(i int) events.Data {
			return events.Combat{Outcome: "victory", XP: int64(i), Loot: foldedItems(i)}
		}},
	} {
		b.Run(string(c.saver.Scope()), func(b *testing.B) {
			batch := make([]events.StateChanged, 2500)
			for i := range batch {
				batch[i] = events.New(events.CharID(1+i%1000), events.Version(i+1), events.CauseAction, uuid.New(), c.saver.Scope(), c.data(i))
			}
			b.ReportAllocs()
			for b.Loop() {
				var q pgx.Batch
				if err := c.saver.Queue(&q, batch); err != nil || q.Len() == 0 {
					b.Fatal(q.Len(), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/event")
		})
	}
}

func foldedItems(i int) []events.ItemChange {
	return []events.ItemChange{
		{ItemID: fmt.Sprint("item-", i%50), Quantity: int64(i)},
		{ItemID: fmt.Sprint("item-", (i+7)%50), Quantity: int64(i)},
	}
}
