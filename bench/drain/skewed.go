package drain

import (
	"context"
	"fmt"

	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// wantedSkewed is how much of the even rate one saver must keep. Few rows are less
// work for PostgreSQL; the stream must not make up for it. (nats-server 2.15.2
// looked through all characters of a block for each event, where there were fewer
// than a fourth of its events: a tenth of the rate.)
const wantedSkewed = 0.8

// skewed measures backlogs that few characters make, and one that arrives in
// disorder, of kinds that were measured.
func (m *meter) skewed(ctx context.Context) (rows []report.Row, err error) {
	for _, kind := range []workload.Kind{workload.KindVitals, workload.KindMix} {
		if m.even[kind] == 0 {
			continue
		}
		even := m.workload(kind, m.Sizes.events(kind))
		hot, few, late := even, even, even
		hot.Zipf = 1.2
		few.Characters = max(2, few.Characters/20)
		late.Disorder = workload.Disorder{Again: 0.1, Within: 1000}
		for _, c := range []struct {
			name   string
			events workload.Config
		}{
			{"Zipf 1.2", hot}, {fmt.Sprintf("%d characters", few.Characters), few},
			{"a tenth of them twice, up to 1,000 late", late},
		} {
			one, err := m.median(ctx, c.events, workload.FinalOf(workload.Generate(c.events)), oneSaver)
			if err != nil {
				return rows, fmt.Errorf("%s, %s: %w", kind, c.name, err)
			}
			row := report.Row{Section: "drain " + string(kind), Case: "savepoint, 1 saver, " + c.name, Value: one.rate(), Unit: "events/s"}
			rows = append(rows, row.AtLeast(wantedSkewed, m.even[kind], "the even one"))
		}
	}
	return rows, nil
}
