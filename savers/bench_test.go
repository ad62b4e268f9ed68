package savers_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// folded are the savers with what their events say. most is a little more than the
// allocations that a batch of 2,500 events took when this guard was set: a list for each
// column, and for fights the text of their loot.
var folded = []struct {
	saver savers.Queuer
	data  func(i int) events.Data
	most  float64
}{
	{savers.VitalsStateSaver{}, func(i int) events.Data {
		return events.Vitals{HP: int32(i % 100), Location: events.Location{Zone: "harbor", X: float64(i)}}
	}, 40},
	{savers.InventoryStateSaver{}, func(i int) events.Data { return events.Inventory{Items: foldedItems(i)} }, 40},
	{savers.CombatStateSaver{}, func(i int) events.Data {
		return events.Combat{Outcome: "victory", XP: int64(i), Loot: foldedItems(i)}
	}, 2*2500 + 100},
	{savers.ScenarioStateSaver{}, func(i int) events.Data {
		return events.Scenario{ScenarioID: fmt.Sprint("scenario-", i%5), Step: int32(i), Status: "open", Data: []byte(`{"a":1}`)}
	}, 40},
}

func foldedBatch(saver savers.Queuer, data func(i int) events.Data) []events.StateChanged {
	batch := make([]events.StateChanged, 2500)
	for i := range batch {
		batch[i] = events.New(events.CharID(1+i%1000), events.Version(i+1), events.CauseAction, uuid.New(), saver.Scope(), data(i))
	}
	return batch
}

func fold(tb testing.TB, saver savers.Queuer, batch []events.StateChanged) {
	var q pgx.Batch
	if err := saver.Queue(&q, batch); err != nil || q.Len() == 0 {
		tb.Fatal(q.Len(), err)
	}
}

// BenchmarkFold turns a batch of 2,500 events about 1,000 characters into
// statements, without a database.
func BenchmarkFold(b *testing.B) {
	for _, c := range folded {
		b.Run(string(c.saver.Scope()), func(b *testing.B) {
			batch := foldedBatch(c.saver, c.data)
			b.ReportAllocs()
			for b.Loop() {
				fold(b, c.saver, batch)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/event")
		})
	}
}

// More allocations than before are a regression; with fewer, lower the guard.
func TestFoldAllocatesNoMoreThanItDid(t *testing.T) {
	for _, c := range folded {
		batch := foldedBatch(c.saver, c.data)
		allocs := testing.AllocsPerRun(10, func() { fold(t, c.saver, batch) })
		if allocs > c.most {
			t.Errorf("%v allocations for a batch of %s, at most %v before", allocs, c.saver.Scope(), c.most)
		}
		t.Logf("%s: %v allocations", c.saver.Scope(), allocs)
	}
}

func foldedItems(i int) []events.ItemChange {
	return []events.ItemChange{
		{ItemID: fmt.Sprint("item-", i%50), Quantity: int64(i)},
		{ItemID: fmt.Sprint("item-", (i+7)%50), Quantity: int64(i)},
	}
}
