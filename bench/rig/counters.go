package rig

import (
	"context"
	"fmt"
)

// Counters are what PostgreSQL has counted since it was made.
type Counters struct {
	Updates    int64 // rows updated
	HotUpdates int64 // of them on their page, without touching an index
	Commits    int64
	WALBytes   int64
	PageImages int64 // whole pages in the log: of pages changed for the first time after a checkpoint
	WALSyncs   int64 // fsyncs of the log; -1 where this PostgreSQL does not count them
}

// Since is what was counted after an earlier reading.
func (c Counters) Since(earlier Counters) Counters {
	c.Updates -= earlier.Updates
	c.HotUpdates -= earlier.HotUpdates
	c.Commits -= earlier.Commits
	c.WALBytes -= earlier.WALBytes
	c.PageImages -= earlier.PageImages
	if c.WALSyncs >= 0 {
		c.WALSyncs -= earlier.WALSyncs
	}
	return c
}

// Counters reads the counters. A connection of PostgreSQL reports what it did
// some seconds later, or when it ends: so the programs must be stopped, and this
// waits until their connections are gone.
func (r *Rig) Counters(ctx context.Context) (c Counters, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := r.awaitAlone(ctx); err != nil {
		return c, fmt.Errorf("counters of PostgreSQL: %w", err)
	}
	err = r.DB.QueryRow(ctx, `
		SELECT coalesce(sum(n_tup_upd), 0), coalesce(sum(n_tup_hot_upd), 0),
		       (SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()),
		       (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint, (SELECT wal_fpi FROM pg_stat_wal)
		FROM pg_stat_user_tables`).Scan(&c.Updates, &c.HotUpdates, &c.Commits, &c.WALBytes, &c.PageImages)
	if err != nil {
		return c, fmt.Errorf("counters of PostgreSQL: %w", err)
	}
	c.WALSyncs, err = r.walSyncs(ctx)
	return c, err
}

// walSyncs: PostgreSQL 14 to 17 have it in pg_stat_wal, later ones in pg_stat_io.
func (r *Rig) walSyncs(ctx context.Context) (n int64, err error) {
	const hasColumn = `SELECT EXISTS (SELECT FROM information_schema.columns WHERE table_name = 'pg_stat_wal' AND column_name = 'wal_sync')`
	var has bool
	if err := r.DB.QueryRow(ctx, hasColumn).Scan(&has); err != nil {
		return 0, fmt.Errorf("counters of PostgreSQL: %w", err)
	}
	query := "SELECT wal_sync FROM pg_stat_wal"
	if !has {
		query = "SELECT sum(fsyncs)::bigint FROM pg_stat_io WHERE object = 'wal'"
	}
	if err := r.DB.QueryRow(ctx, query).Scan(&n); err != nil {
		return -1, nil
	}
	return n, nil
}

// awaitAlone returns when nobody else is connected to PostgreSQL.
func (r *Rig) awaitAlone(ctx context.Context) error {
	for {
		var others int
		err := r.DB.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND application_name <> $1`, applicationName).Scan(&others)
		if err != nil {
			return err
		}
		if others == 0 {
			return nil
		}
		if err := Rest(ctx, pollEvery); err != nil {
			return fmt.Errorf("%d connections of programs are open: %w", others, err)
		}
	}
}
