package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgresLock keeps some rows from everybody, as a session does that somebody has
// forgotten: for 1 to 15 s, which is shorter and longer than a saver waits.
func postgresLock(ctx context.Context, r *rig, x *rand.Rand) error {
	mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	conn, err := pgx.Connect(mending, r.postgres.URL())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(mending) }()
	tx, err := conn.Begin(mending)
	if err != nil {
		return err
	}
	for _, table := range []string{"character_vitals", "items", "scenario_progress"} {
		// Savers have locks of their own: what they hold now is left to them.
		_, err := tx.Exec(mending, "SELECT FROM "+table+" ORDER BY md5(char_id::text || $1) LIMIT $2 FOR UPDATE SKIP LOCKED", fmt.Sprint(x.Int()), 1+x.IntN(3))
		if err != nil {
			return fmt.Errorf("lock rows of %s: %w", table, err)
		}
	}
	pause(ctx, between(x, time.Second, 15*time.Second))
	if err := tx.Rollback(mending); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		return err
	}
	return nil
}
