package savers

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/db"
)

// VitalsStateSaver saves the current values of HP, energy and location, a
// snapshot a character, in character_vitals.
type VitalsStateSaver struct{}

// Scope implements Saver.
func (VitalsStateSaver) Scope() events.Scope { return events.ScopeVitals }

// Save implements Saver.
func (s VitalsStateSaver) Save(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
	return saveQueued(ctx, tx, s, batch)
}

// Queue implements Queuer.
func (VitalsStateSaver) Queue(q *pgx.Batch, batch []events.StateChanged) error {
	rows := make(newest[events.CharID, events.Vitals], len(batch))
	for i := range batch {
		data, err := dataOf[events.Vitals](&batch[i])
		if err != nil {
			return err
		}
		rows.add(batch[i].CharID, batch[i].Version, data)
	}
	_, err := db.Queued(q).SaveVitals(context.Background(), vitalsParams(rows))
	return err
}

func vitalsParams(rows newest[events.CharID, events.Vitals]) (p db.SaveVitalsParams) {
	n := len(rows)
	p = db.SaveVitalsParams{
		CharIds: make([]int64, 0, n), Versions: make([]int64, 0, n), Hps: make([]int32, 0, n), Energies: make([]int32, 0, n),
		Zones: make([]string, 0, n), Xs: make([]float64, 0, n), Ys: make([]float64, 0, n),
	}
	for _, char := range rows.keys(cmp.Compare[events.CharID]) {
		row := rows[char]
		p.CharIds = append(p.CharIds, int64(char))
		p.Versions = append(p.Versions, int64(row.version))
		p.Hps = append(p.Hps, row.value.HP)
		p.Energies = append(p.Energies, row.value.Energy)
		p.Zones = append(p.Zones, row.value.Location.Zone)
		p.Xs = append(p.Xs, row.value.Location.X)
		p.Ys = append(p.Ys, row.value.Location.Y)
	}
	return p
}

// dataOf returns the event's data as the type that the saver knows.
func dataOf[T events.Data](e *events.StateChanged) (T, error) {
	data, ok := e.Data.(T)
	if !ok {
		return data, BadEvent(fmt.Errorf("%w: %q event with data of type %T", events.ErrScope, e.Scope, e.Data))
	}
	return data, nil
}
