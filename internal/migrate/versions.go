package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/pressly/goose/v3"

	savepointsql "github.com/savepoint-games/savepoint/sql"
)

// undefinedTable is the SQLSTATE of a table that does not exist.
const undefinedTable = "42P01"

// Versions returns the version of the database's schema, 0 for one without, and
// that of this build. It changes nothing, so it works on a standby too.
func Versions(ctx context.Context, databaseURL string) (have, want int64, err error) {
	if want, err = latest(); err != nil {
		return 0, 0, fmt.Errorf("schema of this build: %w", err)
	}
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		return 0, want, fmt.Errorf("schema version: %w", err)
	}
	defer db.Close()
	row := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+goose.DefaultTablename+" WHERE is_applied")
	err = row.Scan(&have)
	if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) && pgErr.Code == undefinedTable {
		return 0, want, nil
	}
	if err != nil {
		return 0, want, fmt.Errorf("schema version: %w", err)
	}
	return have, want, nil
}

// latest is the highest number of a migration of this build.
func latest() (highest int64, err error) {
	files, err := fs.Glob(savepointsql.Schema, "schema/*.sql")
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			return 0, err
		}
		highest = max(highest, version)
	}
	return highest, err
}
