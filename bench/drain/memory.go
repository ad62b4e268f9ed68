package drain

import (
	"context"

	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/usage"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// memory measures the peak of a saver that starts before a small and before a
// large backlog.
func (m *meter) memory(ctx context.Context) (rows []report.Row, err error) {
	for _, waiting := range m.Sizes.Memory {
		peak, err := m.peak(ctx, m.workload(workload.KindVitals, waiting))
		if err != nil {
			return rows, err
		}
		rows = append(rows, memoryRow(waiting, peak))
		m.sayf("memory: %d events waiting, peak of a saver %d MB", waiting, peak/1e6)
	}
	last := len(rows) - 1
	row := rows[last].Against(rows[0].Value, "the small backlog")
	row.Want, row.Missed = rows[last].Want, rows[last].Missed
	rows[last] = row
	return rows, nil
}

func (m *meter) peak(ctx context.Context, events workload.Config) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	if err := m.rig.Reset(ctx); err != nil {
		return 0, err
	}
	progress := func(done int) {
		if done%1_000_000 == 0 {
			m.sayf("memory: %d of %d events published", done, events.Events)
		}
	}
	if _, err := m.rig.Fill(ctx, workload.Generate(events), progress); err != nil {
		return 0, err
	}
	saver, err := m.rig.StartSaver(ctx, rig.Options{})
	if err != nil {
		return 0, err
	}
	if err := m.rig.AwaitSettled(ctx, events.Kind.Scopes()...); err != nil {
		return 0, err
	}
	held, err := usage.MemoryOf(saver.Pid())
	if err != nil {
		return 0, err
	}
	if err := saver.Stop(ctx); err != nil {
		return 0, err
	}
	return held.Peak, m.rig.Check(ctx, workload.FinalOf(workload.Generate(events)))
}
