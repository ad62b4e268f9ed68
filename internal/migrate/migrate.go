// Package migrate brings a database to the schema of this build.
package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	savepointsql "github.com/savepoint-games/savepoint/sql"
)

// Up applies the migrations that the database does not have yet and returns
// their number. Any number of processes may call it at once: an advisory lock
// lets one of them work and the others wait.
func Up(ctx context.Context, databaseURL string) (applied int, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("migrate: %w", err)
		}
	}()
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	files, err := fs.Sub(savepointsql.Schema, "schema")
	if err != nil {
		return 0, err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return 0, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		return 0, err
	}
	results, err := provider.Up(ctx)
	return len(results), err
}
