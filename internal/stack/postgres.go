package stack

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// PostgresConfig says where a PostgreSQL runs.
type PostgresConfig struct {
	// Dir holds the data and the log. It is the server's own: where we are
	// root, user postgres has to be able to enter it.
	Dir string

	// Port is where it listens, on 127.0.0.1.
	//
	// Defaults to a free one.
	Port int

	// Log gets what the server prints, besides Dir/postgres.log.
	//
	// Defaults to nowhere else.
	Log io.Writer

	// Settings go over those of postgresql.conf and our own.
	Settings map[string]string
}

// A Postgres is a running PostgreSQL with a superuser and a database of the
// name savepoint.
//
// Stop is PostgreSQL's fast shutdown: it rolls back what is in progress. Kill
// ends all its processes as a power cut would, but for what the operating
// system still holds: the next start recovers from the log.
type Postgres struct {
	*Process
	config PostgresConfig
}

// databaseName is the superuser and the database alike.
const databaseName = "savepoint"

// maxSocketPath is what a Unix socket's address has room for.
const maxSocketPath = 107

// StartPostgres starts PostgreSQL and returns when it answers. A Dir without
// data gets a new cluster; one with data, however its server ended, goes on
// with it.
func StartPostgres(ctx context.Context, cfg PostgresConfig) (*Postgres, error) {
	return retryStart(ctx, func() (*Postgres, error) { return startPostgres(ctx, cfg) })
}

func startPostgres(ctx context.Context, cfg PostgresConfig) (_ *Postgres, err error) {
	home, err := openPostgresHome(ctx, cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	if err := home.prepare(ctx); err != nil {
		home.close()
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	cfg.Dir = home.dir
	if cfg.Port, err = portOr(cfg.Port); err != nil {
		home.close()
		return nil, fmt.Errorf("start PostgreSQL: %w", err)
	}
	process, err := home.launch(cfg).start() // closes home when it ends
	if err != nil {
		return nil, err
	}
	p := &Postgres{process, cfg}
	if err := p.await(ctx, home.data); err != nil {
		_ = p.Kill()
		return nil, home.log.explain("PostgreSQL", err)
	}
	return p, nil
}

// arguments leaves durability alone: what PostgreSQL acknowledged is on disk.
func (cfg PostgresConfig) arguments(data string) []string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"port":                    strconv.Itoa(cfg.Port),
		"unix_socket_directories": "",
		"max_connections":         "200", // many tests side by side, each with a pool
	}
	if fitsSocket(data, cfg.Port) {
		settings["unix_socket_directories"] = `"` + strings.ReplaceAll(data, `"`, `""`) + `"`
	}
	maps.Copy(settings, cfg.Settings)
	args := []string{"-D", data}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

func fitsSocket(data string, port int) bool {
	return len(filepath.Join(data, ".s.PGSQL."+strconv.Itoa(port))) <= maxSocketPath
}

// await returns when the server answers and has our database.
func (p *Postgres) await(ctx context.Context, data string) error {
	err := awaitAnswer(ctx, p.Process, func(ctx context.Context) error {
		return p.asAdmin(ctx, func(conn *pgx.Conn) error { return answersFrom(ctx, conn, data) })
	})
	if err != nil {
		return err
	}
	return p.asAdmin(ctx, func(conn *pgx.Conn) error { return ensureDatabase(ctx, conn) })
}

func (p *Postgres) asAdmin(ctx context.Context, do func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, p.urlOf("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return do(conn)
}

// answersFrom rules out that somebody else's server has our port.
func answersFrom(ctx context.Context, conn *pgx.Conn, data string) error {
	var dir string
	if err := conn.QueryRow(ctx, "SHOW data_directory").Scan(&dir); err != nil {
		return err
	}
	if dir != data {
		return fmt.Errorf("the server on this port has its data in %s", dir)
	}
	return nil
}

func ensureDatabase(ctx context.Context, conn *pgx.Conn) error {
	var exists bool
	err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", databaseName).Scan(&exists)
	if err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+databaseName)
	return err
}

// Config is what StartPostgres needs to start this server again, on the same
// port.
func (p *Postgres) Config() PostgresConfig { return p.config }

// Dir is where data and log are.
func (p *Postgres) Dir() string { return p.config.Dir }

// Port is the TCP port.
func (p *Postgres) Port() int { return p.config.Port }

// URL is the database's address over TCP.
func (p *Postgres) URL() string { return p.urlOf(databaseName) }

func (p *Postgres) urlOf(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", databaseName, p.config.Port, database)
}

// SocketURL is the database's address over a Unix socket, or "" where the
// path to Dir is too long for one. Only the server's own user and root can
// connect there.
func (p *Postgres) SocketURL() string {
	data := filepath.Join(p.config.Dir, "data")
	if !fitsSocket(data, p.config.Port) {
		return ""
	}
	return fmt.Sprintf("postgres://%s@/%s?host=%s&port=%d", databaseName, databaseName, url.QueryEscape(data), p.config.Port)
}
