package doctor

// killed is what PostgreSQL loses whose processes die at once.
func (p Postgres) killed() Loss {
	switch {
	case p.Err != "":
		return unknown
	case len(p.Unlogged) > 0:
		return Loss{Window: forever, Text: "unlogged tables"}
	case p.SynchronousCommit == "off":
		// The WAL writer's own promise: three of its delays.
		return within(3 * p.WALWriterDelay)
	}
	return Loss{}
}

// power is what PostgreSQL loses whose machine dies.
func (p Postgres) power() Loss {
	if p.Err == "" && (!p.Fsync || !p.FullPageWrites) {
		return anything
	}
	return p.killed()
}

func (p Postgres) hasSyncStandby() bool {
	if p.SynchronousCommit == "off" || p.SynchronousCommit == "local" {
		return false
	}
	for _, s := range p.Standbys {
		if s.Sync == "sync" || s.Sync == "quorum" {
			return true
		}
	}
	return false
}
