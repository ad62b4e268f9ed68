package doctor

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/internal/migrate"
)

// readPostgres asks over one connection, made as a saver makes it: the session
// has the settings that its role and database give it.
func readPostgres(ctx context.Context, cfg Config) Postgres {
	p := Postgres{PoolSize: cfg.PoolSize}
	if err := p.read(ctx, cfg.DatabaseURL); err != nil {
		p.Err = err.Error()
	}
	return p
}

func (p *Postgres) read(ctx context.Context, url string) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	config.ConnectTimeout = dialTimeout
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	p.Addr = fmt.Sprintf("%s:%d", conn.Config().Host, conn.Config().Port)
	for _, step := range []func(context.Context, *pgx.Conn) error{
		p.readSettings, p.readOverrides, p.readUnlogged, p.readActivity, p.readStandbys,
	} {
		if err := step(ctx, conn); err != nil {
			return err
		}
	}
	p.Clock = readClock(func() (at time.Time, err error) {
		err = conn.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&at)
		return at, err
	})
	p.Schema, p.WantSchema, err = migrate.Versions(ctx, url)
	return err
}

func (p *Postgres) readSettings(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, "SELECT name, setting, source FROM pg_settings")
	if err != nil {
		return fmt.Errorf("read pg_settings: %w", err)
	}
	settings, sources := make(map[string]string), make(map[string]string)
	var name, setting, source string
	_, err = pgx.ForEachRow(rows, []any{&name, &setting, &source}, func() error {
		settings[name], sources[name] = setting, source
		return nil
	})
	if err != nil {
		return fmt.Errorf("read pg_settings: %w", err)
	}
	count := func(name string) int {
		n, _ := strconv.Atoi(settings[name]) // 0: this version has no such setting
		return n
	}
	p.Version = count("server_version_num")
	p.Fsync, p.FullPageWrites = settings["fsync"] == "on", settings["full_page_writes"] == "on"
	p.SynchronousCommit, p.SynchronousCommitSource = settings["synchronous_commit"], sources["synchronous_commit"]
	p.SyncStandbys, p.WALLevel, p.ArchiveMode = settings["synchronous_standby_names"], settings["wal_level"], settings["archive_mode"]
	p.WALWriterDelay = time.Duration(count("wal_writer_delay")) * time.Millisecond
	p.ReadOnly = settings["default_transaction_read_only"] == "on"
	p.Slots = count("max_connections") - count("superuser_reserved_connections") - count("reserved_connections")
	return nil
}

// readOverrides reads what roles and databases set for themselves: a saver may
// connect as another role than we do.
func (p *Postgres) readOverrides(ctx context.Context, conn *pgx.Conn) (err error) {
	p.CommitOverrides, err = column(ctx, conn, `
		SELECT concat_ws(', ', 'role ' || r.rolname, 'database ' || d.datname) || ': ' || split_part(setting, '=', 2)
		FROM pg_db_role_setting s
		LEFT JOIN pg_roles r ON r.oid = s.setrole
		LEFT JOIN pg_database d ON d.oid = s.setdatabase,
		unnest(s.setconfig) AS setting
		WHERE setting LIKE 'synchronous\_commit=%' AND (d.datname IS NULL OR d.datname = current_database())
		ORDER BY 1`)
	return err
}

func (p *Postgres) readUnlogged(ctx context.Context, conn *pgx.Conn) (err error) {
	p.Unlogged, err = column(ctx, conn, `
		SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relpersistence = 'u' AND c.relkind = 'r' AND n.nspname = ANY(current_schemas(false)) ORDER BY 1`)
	return err
}

func (p *Postgres) readActivity(ctx context.Context, conn *pgx.Conn) error {
	const query = `
		SELECT pg_is_in_recovery(), count(*) FILTER (WHERE pid <> pg_backend_pid()),
		       coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE mine), 0)::float8,
		       coalesce((array_agg(concat_ws(' ', usename, application_name, 'pid ' || pid) ORDER BY xact_start) FILTER (WHERE mine))[1], '')
		FROM (SELECT *, xact_start IS NOT NULL AND pid <> pg_backend_pid() AND datname = current_database() AS mine
		      FROM pg_stat_activity WHERE backend_type = 'client backend') a`
	var seconds float64
	if err := conn.QueryRow(ctx, query).Scan(&p.InRecovery, &p.Connections, &seconds, &p.OldestName); err != nil {
		return fmt.Errorf("read pg_stat_activity: %w", err)
	}
	p.OldestTransaction = time.Duration(seconds * float64(time.Second))
	return nil
}

func (p *Postgres) readStandbys(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, `SELECT coalesce(application_name, ''), coalesce(state, ''), coalesce(sync_state, '') FROM pg_stat_replication ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("read pg_stat_replication: %w", err)
	}
	p.Standbys, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Standby])
	if err != nil {
		return fmt.Errorf("read pg_stat_replication: %w", err)
	}
	return nil
}

func column(ctx context.Context, conn *pgx.Conn, query string) ([]string, error) {
	rows, err := conn.Query(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the catalog: %w", err)
	}
	return values, nil
}
