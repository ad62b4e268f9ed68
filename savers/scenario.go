package savers

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/db"
)

// ScenarioStateSaver saves how far a character has come in each scenario.
type ScenarioStateSaver struct{}

// Scope implements Saver.
func (ScenarioStateSaver) Scope() events.Scope { return events.ScopeScenario }

// Save implements Saver.
func (s ScenarioStateSaver) Save(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
	return saveQueued(ctx, tx, s, batch)
}

// Queue implements Queuer.
func (ScenarioStateSaver) Queue(q *pgx.Batch, batch []events.StateChanged) error {
	rows := make(newest[rowName, *events.StateChanged], len(batch))
	for i := range batch {
		data, err := dataOf[events.Scenario](&batch[i])
		if err != nil {
			return err
		}
		rows.add(rowName{batch[i].CharID, data.ScenarioID}, batch[i].Version, &batch[i])
	}
	_, err := db.Queued(q).SaveScenarios(context.Background(), scenarioParams(rows))
	return err
}

func scenarioParams(rows newest[rowName, *events.StateChanged]) (p db.SaveScenariosParams) {
	n := len(rows)
	p = db.SaveScenariosParams{
		CharIds: make([]int64, 0, n), ScenarioIds: make([]string, 0, n), Versions: make([]int64, 0, n), SessionIds: make([]uuid.UUID, 0, n),
		Steps: make([]int32, 0, n), Statuses: make([]string, 0, n), Datas: make([][]byte, 0, n),
	}
	for _, key := range rows.keys(compareRowNames) {
		e := rows[key].value
		data := e.Data.(events.Scenario)
		p.CharIds = append(p.CharIds, int64(e.CharID))
		p.ScenarioIds = append(p.ScenarioIds, data.ScenarioID)
		p.Versions = append(p.Versions, int64(e.Version))
		p.SessionIds = append(p.SessionIds, e.SessionID)
		p.Steps = append(p.Steps, data.Step)
		p.Statuses = append(p.Statuses, data.Status)
		p.Datas = append(p.Datas, data.Data)
	}
	return p
}
