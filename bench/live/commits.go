package live

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/events"
)

// commitsSource asks when the rows of some characters were committed. An event
// may have set rows of several tables; they were committed together.
const commitsSource = `
SELECT version, (extract(epoch FROM max(pg_xact_commit_timestamp(xmin))) * 1000000)::bigint
FROM (
	SELECT char_id, version, xmin FROM character_vitals   WHERE char_id >= $1 AND char_id < $2
	UNION ALL
	SELECT char_id, version, xmin FROM character_progress WHERE char_id >= $1 AND char_id < $2
	UNION ALL
	SELECT char_id, version, xmin FROM items              WHERE char_id >= $1 AND char_id < $2
	UNION ALL
	SELECT char_id, version, xmin FROM scenario_progress  WHERE char_id >= $1 AND char_id < $2
) AS saved
WHERE version >= $3
GROUP BY char_id, version`

// Commits reads when the events of a load of Strangers were committed. The
// load's first character is first. PostgreSQL takes the time when it begins to
// write the commit to disk, so the disk's own time is missing from it; a Probe
// has it. An event that is not saved is an error.
func Commits(ctx context.Context, db *pgxpool.Pool, first int64, sent Sent) ([]Commit, error) {
	rows, err := db.Query(ctx, commitsSource, first, first+int64(sent.Events), sent.Since)
	if err != nil {
		return nil, fmt.Errorf("read the commits of %d events: %w", sent.Events, err)
	}
	defer rows.Close()
	commits := make([]Commit, 0, sent.Events)
	for rows.Next() {
		var version, committed int64
		if err := rows.Scan(&version, &committed); err != nil {
			return nil, fmt.Errorf("read the commits of %d events: %w", sent.Events, err)
		}
		commits = append(commits, Commit{Published: events.Version(version).Time(), Committed: time.UnixMicro(committed)})
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the commits of %d events: %w", sent.Events, err)
	}
	if len(commits) != sent.Events {
		return nil, fmt.Errorf("of %d events that were published %d are saved", sent.Events, len(commits))
	}
	return commits, nil
}

// Populate gives characters a row of vitals each, older than any event, so that
// events update rows as those of known players do, and cleans up after itself.
func Populate(ctx context.Context, db *pgxpool.Pool, first, count int64) error {
	const rows = `
		INSERT INTO character_vitals (char_id, version, hp, energy, zone, x, y)
		SELECT c, 1, 100, 100, 'harbor', 0, 0 FROM generate_series($1::bigint, $2::bigint) AS c
		ON CONFLICT DO NOTHING`
	if _, err := db.Exec(ctx, rows, first, first+count-1); err != nil {
		return fmt.Errorf("make rows for %d characters: %w", count, err)
	}
	for _, statement := range []string{"VACUUM ANALYZE character_vitals", "CHECKPOINT"} {
		if _, err := db.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make rows for %d characters: %w", count, err)
		}
	}
	return nil
}
