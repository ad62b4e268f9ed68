package doctor

import (
	"fmt"
	"strings"
	"time"
)

// oldTransaction is how long one may be open before vacuum's work piles up.
const oldTransaction = 5 * time.Minute

func judgePostgres(p Postgres) []Finding {
	f := &findings{part: partPostgres}
	if p.Err != "" {
		f.unread("PostgreSQL", p.Err, "start it, or correct DATABASE_URL")
		return f.list
	}
	judgeDurability(f, p)
	judgeRole(f, p)
	judgeSchema(f, p)
	judgeCopies(f, p)
	judgeLoad(f, p)
	return f.list
}

func judgeDurability(f *findings, p Postgres) {
	if !p.Fsync {
		f.add(Critical, "fsync off", "PostgreSQL machine lost power: the database may be damaged beyond repair, and what was answered cold is gone", "fsync = on")
	}
	if !p.FullPageWrites {
		f.add(Critical, "full_page_writes off", "PostgreSQL machine lost power: half-written pages, unless the file system writes 8 KiB at once", "full_page_writes = on")
	}
	if p.SynchronousCommit == "off" {
		f.add(Critical, fmt.Sprintf("synchronous_commit off (set by: %s)", p.SynchronousCommitSource),
			fmt.Sprintf("PostgreSQL killed: %s of what was answered cold; it is acknowledged in the stream and its marks are cleared, so nobody saves it again", p.killed()), "synchronous_commit = on; `saver replay --since` after a crash until then")
	}
	for _, o := range p.CommitOverrides {
		if !strings.HasSuffix(o, " off") {
			continue
		}
		f.add(Warning, "synchronous_commit of "+o, "savers that connect so lose their last commits when PostgreSQL is killed", "ALTER ROLE … or ALTER DATABASE … RESET synchronous_commit")
	}
	if len(p.Unlogged) > 0 {
		f.add(Critical, "unlogged tables: "+strings.Join(p.Unlogged, ", "), "PostgreSQL killed: they are empty afterwards", "ALTER TABLE … SET LOGGED")
	}
}

func judgeRole(f *findings, p Postgres) {
	if p.InRecovery {
		f.add(Critical, "it is a standby", "nothing is saved: the backlog grows until the stream is full or its max age is reached", "point DATABASE_URL at the primary (target_session_attrs=read-write)")
	} else if p.ReadOnly {
		f.add(Critical, "default_transaction_read_only on", "nothing is saved: the backlog grows until the stream is full or its max age is reached", "set it off for the savers' role")
	}
	if p.Version < 150000 {
		f.add(Warning, "version "+p.version(), "the product is tested with 15 and later", "upgrade to 15 or later")
	}
}

func judgeSchema(f *findings, p Postgres) {
	switch {
	case p.Schema < p.WantSchema:
		f.add(Warning, fmt.Sprintf("schema version %d, this build wants %d", p.Schema, p.WantSchema), "savers wait, nothing is saved", "`saver migrate`")
	case p.Schema > p.WantSchema:
		f.add(Note, fmt.Sprintf("schema version %d is newer than this build's %d", p.Schema, p.WantSchema), "this build is older than the one that migrated", "upgrade this build")
	}
}

func judgeCopies(f *findings, p Postgres) {
	if p.SyncStandbys != "" && !p.hasSyncStandby() {
		f.add(Warning, "synchronous_standby_names is "+p.SyncStandbys+", and no commit waits for a standby", "PostgreSQL lost: what a standby lacks (`saver replay` brings it back); or commits hang until one comes", "look at pg_stat_replication, and at synchronous_commit")
	}
	if len(p.Standbys) > 0 && p.SyncStandbys == "" {
		f.add(Note, fmt.Sprintf("%d standbys, none synchronous", len(p.Standbys)), "failover to one that is behind: its last commits; `saver replay --since` brings them back", "")
	}
	if len(p.Standbys) == 0 && (p.ArchiveMode == "off" || p.WALLevel == "minimal") {
		f.add(Note, fmt.Sprintf("no standby, archive_mode %s, wal_level %s", p.ArchiveMode, p.WALLevel), "PostgreSQL lost: what is older than the stream is in your own backups, or nowhere", "backups, each newer than the stream's oldest event; `saver replay` does the rest")
	}
}

func judgeLoad(f *findings, p Postgres) {
	if free := p.Slots - p.Connections; p.Slots > 0 && free < p.PoolSize {
		f.add(Warning, fmt.Sprintf("%d of %d connections are open", p.Connections, p.Slots), fmt.Sprintf("no room for another saver, which opens up to %d; one that restarts may be refused", p.PoolSize), "raise max_connections")
	}
	if p.OldestTransaction > oldTransaction {
		f.add(Warning, fmt.Sprintf("a transaction of %s is open for %s", p.OldestName, short(p.OldestTransaction)), "vacuum cannot clean what changed since: tables that are updated often grow, and saves slow down", "end it (pg_terminate_backend), or idle_in_transaction_session_timeout")
	}
}

// version is 15.4 for 150004.
func (p Postgres) version() string { return fmt.Sprintf("%d.%d", p.Version/10000, p.Version%10000) }
