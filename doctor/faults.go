package doctor

import (
	"fmt"
	"strings"
)

// Fault is one line of the table: what may be lost in a fault, of what had been
// answered at each level.
type Fault struct {
	ID   string `json:"id"`
	Name string `json:"fault"`
	Hot  Loss   `json:"hot"`
	// Stream is lost only where Redis and JetStream both lose it.
	Stream  Loss   `json:"stream"`
	Cold    Loss   `json:"cold"`
	Because string `json:"because"`
	// Promised is set where the product promises that what was answered
	// "stream" or "cold" survives.
	Promised bool `json:"promised"`
}

// Faults is the table. It takes one fault at a time, and what the product does
// about it as done: redelivery, sweep, rejoin, replay.
func Faults(s Settings) []Fault {
	redis, nats := s.Redis, s.NATS
	keeps, holds := redis.steady(), nats.steady()
	rows := []Fault{
		{ID: "none", Name: "no fault", Hot: keeps, Stream: both(keeps, holds), Promised: true,
			Because: "only what a server drops by itself"},
		s.redisFault("redis-killed", "Redis process killed", redis.killed(), redis.why(redis.killed())),
		s.redisFault("redis-power", "Redis machine lost power", redis.power(), redis.why(redis.power())),
		s.redisFault("redis-lost", "Redis lost entirely", unsaved,
			"joined again from PostgreSQL and the stream; idempotency keys and rounds of open fights are gone"),
		s.natsFault("nats-killed", "NATS process killed", nats.killed()),
		s.natsFault("nats-power", "NATS machine lost power", nats.power()),
		s.natsFault("nats-lost", "NATS storage lost", unsaved),
		postgresFault("postgres-killed", "PostgreSQL killed", s.Postgres.killed(), true),
		postgresFault("postgres-power", "PostgreSQL machine lost power", s.Postgres.power(), true),
		s.postgresLost(),
	}
	return append(rows, s.sharedPower()...)
}

// redisFault: what Redis forgets it gets back from PostgreSQL and from the
// stream when the character is next touched. So "hot" loses what was not
// published, and "stream" what the stream has dropped as well.
func (s Settings) redisFault(id, name string, loss Loss, because string) Fault {
	hot, holds := loss, s.NATS.steady()
	if hot == unsaved && !holds.Certain() {
		hot.Text = "what was not published"
	}
	return Fault{ID: id, Name: name, Hot: hot, Stream: both(loss, holds), Because: because, Promised: true}
}

// natsFault: what the stream forgets is still marked in Redis, and the sweeper
// publishes it again. So nothing is lost that Redis does not drop by itself.
func (s Settings) natsFault(id, name string, loss Loss) Fault {
	keeps := s.Redis.steady()
	because := "JetStream keeps it"
	if !loss.Nothing() {
		because = fmt.Sprintf("JetStream loses %s; %s", loss, keeps.marks())
	}
	if loss.Unknown {
		because = "what JetStream loses is not known; " + keeps.marks()
	}
	return Fault{ID: id, Name: name, Hot: keeps, Stream: both(loss, keeps), Because: because, Promised: true}
}

// marks says what becomes of the dirty marks in a Redis that loses l by itself.
func (l Loss) marks() string {
	switch {
	case l.Nothing():
		return "the dirty marks in Redis publish it again"
	case l.Unknown:
		return "whether Redis has its dirty marks is not known"
	}
	return "Redis may have dropped the dirty marks that would publish it again"
}

// postgresFault: what PostgreSQL had confirmed is acknowledged in the stream,
// and its mark is gone. The level of the first answer does not matter then:
// nobody saves it again by himself.
func postgresFault(id, name string, loss Loss, promised bool) Fault {
	because := "PostgreSQL keeps what it has committed"
	if loss.Certain() {
		because = "savers took it for saved: acknowledged in the stream, its mark cleared; `saver replay` brings it back while the stream has it"
	}
	return Fault{ID: id, Name: name, Hot: loss, Stream: loss, Cold: loss, Because: because, Promised: promised}
}

// postgresLost: `saver replay` brings back what the stream has, a backup what
// is older. Whether there is a backup cannot be seen from here, so the line is
// not one of those that decide. That the stream has its first event does not
// mean that it has all: it may have been made anew since.
func (s Settings) postgresLost() Fault {
	row := postgresFault("postgres-lost", "PostgreSQL lost", s.NATS.beforeReplay(), false)
	state := s.NATS.Changes.State
	switch {
	case s.Postgres.hasSyncStandby():
		row.Hot, row.Stream, row.Cold = Loss{}, Loss{}, Loss{}
		row.Because = "a synchronous standby has every commit"
	case row.Cold.Unknown:
		row.Because = "how far back a replay reaches could not be read"
	case state.Msgs == 0:
		row.Because = "the stream is empty: only a backup brings anything back"
	default:
		row.Because = "`saver replay` brings back what is newer than " + state.FirstTime.UTC().Format("2006-01-02 15:04 MST") +
			", the stream's oldest event; a backup has to have the rest"
	}
	return row
}

// sharedPower is the power cut that takes Redis and the others with it.
func (s Settings) sharedPower() []Fault {
	if len(s.Shared) < 2 {
		return nil
	}
	inRedis, inNATS, cold := s.Redis.steady(), s.NATS.steady(), Loss{}
	for _, part := range s.Shared {
		switch part {
		case partRedis:
			inRedis = s.Redis.power()
		case partNATS:
			inNATS = s.NATS.power()
		case partPostgres:
			cold = s.Postgres.power()
		}
	}
	return []Fault{{
		ID: "shared-power", Name: "their machine lost power",
		Hot: worse(inRedis, cold), Stream: worse(both(inRedis, inNATS), cold), Cold: cold,
		Because: "on one machine by their addresses: " + strings.Join(s.Shared, ", ") + "; what both copies lose is lost",
	}}
}
