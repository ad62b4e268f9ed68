package savers

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/db"
)

// CombatStateSaver writes a fight's line in the history, once, and the
// experience and loot that the character has after it.
type CombatStateSaver struct{}

// Scope implements Saver.
func (CombatStateSaver) Scope() events.Scope { return events.ScopeCombat }

// Save implements Saver.
func (s CombatStateSaver) Save(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
	return saveQueued(ctx, tx, s, batch)
}

// Queue implements Queuer.
func (CombatStateSaver) Queue(q *pgx.Batch, batch []events.StateChanged) error {
	progress := make(newest[events.CharID, int64], len(batch))
	items := newBelongings(len(batch))
	for i := range batch {
		data, err := dataOf[events.Combat](&batch[i])
		if err != nil {
			return err
		}
		progress.add(batch[i].CharID, batch[i].Version, data.XP)
		items.add(&batch[i], data.Loot)
	}
	if _, err := db.Queued(q).SaveFights(context.Background(), fightParams(batch)); err != nil {
		return err
	}
	if _, err := db.Queued(q).SaveProgress(context.Background(), progressParams(progress)); err != nil {
		return err
	}
	return items.queue(q)
}

func progressParams(rows newest[events.CharID, int64]) (p db.SaveProgressParams) {
	n := len(rows)
	p = db.SaveProgressParams{CharIds: make([]int64, 0, n), Versions: make([]int64, 0, n), Xps: make([]int64, 0, n)}
	for _, char := range rows.keys(cmp.Compare[events.CharID]) {
		p.CharIds = append(p.CharIds, int64(char))
		p.Versions = append(p.Versions, int64(rows[char].version))
		p.Xps = append(p.Xps, rows[char].value)
	}
	return p
}

// fightParams orders the fights by their session, the key of the history.
func fightParams(batch []events.StateChanged) (p db.SaveFightsParams) {
	fights := make([]*events.StateChanged, len(batch))
	for i := range batch {
		fights[i] = &batch[i]
	}
	slices.SortFunc(fights, func(a, b *events.StateChanged) int {
		return cmp.Or(bytes.Compare(a.SessionID[:], b.SessionID[:]), cmp.Compare(a.Version, b.Version))
	})
	fights = slices.CompactFunc(fights, func(a, b *events.StateChanged) bool { return a.SessionID == b.SessionID })
	n := len(fights)
	p = db.SaveFightsParams{
		SessionIds: make([]uuid.UUID, 0, n), CharIds: make([]int64, 0, n), Versions: make([]int64, 0, n),
		Outcomes: make([]string, 0, n), StartedAts: make([]time.Time, 0, n), FinishedAts: make([]time.Time, 0, n),
		Rounds: make([]int32, 0, n), XpGained: make([]int64, 0, n), Loots: make([][]byte, 0, n),
	}
	for _, e := range fights {
		addFight(&p, e)
	}
	return p
}

func addFight(p *db.SaveFightsParams, e *events.StateChanged) {
	data := e.Data.(events.Combat)
	p.SessionIds = append(p.SessionIds, e.SessionID)
	p.CharIds = append(p.CharIds, int64(e.CharID))
	p.Versions = append(p.Versions, int64(e.Version))
	p.Outcomes = append(p.Outcomes, data.Outcome)
	p.StartedAts = append(p.StartedAts, data.StartedAt)
	p.FinishedAts = append(p.FinishedAts, data.FinishedAt)
	p.Rounds = append(p.Rounds, data.Rounds)
	p.XpGained = append(p.XpGained, data.XPGained)
	p.Loots = append(p.Loots, events.EncodeItems(data.Loot))
}
