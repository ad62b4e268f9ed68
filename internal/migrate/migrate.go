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
	provider, closeDB, err := open(databaseURL)
	if err != nil {
		return 0, err
	}
	defer closeDB()
	results, err := provider.Up(ctx)
	return len(results), err
}

// Pending reports whether the database lacks a migration of this build.
func Pending(ctx context.Context, databaseURL string) (bool, error) {
	provider, closeDB, err := open(databaseURL)
	if err != nil {
		return false, fmt.Errorf("migrate: %w", err)
	}
	defer closeDB()
	return provider.HasPending(ctx)
}

func open(databaseURL string) (*goose.Provider, func(), error) {
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		return nil, nil, err
	}
	files, err := fs.Sub(savepointsql.Schema, "schema")
	if err != nil {
		return nil, nil, err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, nil, err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithSessionLocker(locker))
	if err != nil {
		_ = db.Close()
		return nil, nil, err
	}
	return provider, func() { _ = db.Close() }, nil
}
