// Package sql holds the database's own files: the migrations in schema/ and
// the queries in queries/, from which sqlc makes internal/db.
package sql

import "embed"

// Schema holds the migrations, numbered and never edited once released.
//
//go:embed schema/*.sql
var Schema embed.FS
