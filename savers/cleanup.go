package savers

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

// CleanupHot is what cleanup needs from Redis; see hot.Store.
type CleanupHot interface {
	Overdue(ctx context.Context, t time.Time, limit int) ([]events.CharID, error)
	Marks(ctx context.Context, chars []events.CharID) (map[events.CharID]events.RowVersions, error)
	Clear(ctx context.Context, saved map[events.CharID]events.RowVersions) error
	PostponeOverdue(ctx context.Context, until map[events.CharID]time.Time) error
	Lost(ctx context.Context, t time.Time, limit int) ([]events.CharID, error)
	InContext(ctx context.Context) ([]events.CharID, error)
	PostponeLost(ctx context.Context, chars []events.CharID, at time.Time) error
	Idle(ctx context.Context, t time.Time, limit int) ([]events.CharID, error)
	EvictMany(ctx context.Context, chars []events.CharID, t time.Time) (stay []events.CharID, err error)
	PostponeIdle(ctx context.Context, chars []events.CharID, at time.Time) error
	BeginNote(ctx context.Context) (name string, complete bool, err error)
	NoteSettled(ctx context.Context, name string, last, settled uint64) (bool, error)
	NoteComplete(ctx context.Context, name string) error
	Unverified(ctx context.Context, chars []events.CharID) ([]events.CharID, error)
}

// CleanupCold is what cleanup asks PostgreSQL; see cold.Store.
type CleanupCold interface {
	// Rows returns the saved versions of the rows of some characters.
	Rows(ctx context.Context, wanted map[events.CharID]events.RowVersions) (map[events.CharID]events.RowVersions, error)
	// EscrowBefore returns up to limit senders of trades that were begun before a
	// version and are in escrow.
	EscrowBefore(ctx context.Context, v events.Version, limit int) ([]events.CharID, error)
}

// CleanupStream is what cleanup asks the stream; see bus.Bus.
type CleanupStream interface {
	// WaitsSince is the time from which on what is stored may wait for a saver.
	WaitsSince(ctx context.Context, scope events.Scope) (time.Time, error)
	// InSessions returns up to limit characters that the mirror shows in a
	// context, from a place on, and the place that goes on after them, or 0.
	InSessions(ctx context.Context, from uint64, limit int) ([]events.CharID, uint64, error)
	// Settled is the newest sequence, and the one up to which all is settled.
	Settled(ctx context.Context) (last, settled uint64, err error)
	// Trim drops the oldest settled events of a stream that is rather full: when it is full
	// it refuses new events, saved or not.
	Trim(ctx context.Context) (uint64, error)
	// MirrorCreated is when the mirror of the active contexts was created.
	MirrorCreated(ctx context.Context) (time.Time, error)
	// LettersFrom returns up to limit dead letters from a sequence on, and the
	// sequence that goes on after them, or 0.
	LettersFrom(ctx context.Context, from uint64, limit int) ([]events.DeadLetter, uint64, error)
	// DropLetter removes a dead letter.
	DropLetter(ctx context.Context, sequence uint64) error
}

// CleanupGame is what cleanup orders; see gateway.Service.
type CleanupGame interface {
	// Dispatch orders a save of a scope of a character from its hot state.
	Dispatch(ctx context.Context, scope events.Scope, char events.CharID) (int, error)
	// Abandon ends the open sessions of a character that was lost.
	Abandon(ctx context.Context, char events.CharID, idleSince time.Time) (bool, error)
	// RefreshMirror shows the character's contexts in the mirror again.
	RefreshMirror(ctx context.Context, char events.CharID) error
	// Rejoin brings a character into Redis.
	Rejoin(ctx context.Context, char events.CharID, distrusted ...events.RowKey) error
}

// CleanupStateSaver is the sweeper. At each tick of the server's schedule it
// finds changes that nobody has published, or that the stream no longer holds,
// and dispatches them; it ends sessions of lost characters, forgets idle ones
// that are saved, drops dead letters that a newer save has made up for, and
// fills the mirror where NATS has lost it. The tick goes to exactly one saver at a time.
type CleanupStateSaver struct {
	Hot    CleanupHot
	Cold   CleanupCold
	Stream CleanupStream
	Game   CleanupGame
	Log    *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics

	// Grace is how long a mark may stand before cleanup asks about it: longer
	// than a publish and a save take on a good day.
	//
	// Defaults to 15 s.
	Grace time.Duration
	// SessionIdle is how long a character may be silent before its sessions are
	// ended as abandoned.
	//
	// Defaults to 15 min.
	SessionIdle time.Duration
	// EvictIdle is how long a character may be silent before Redis forgets it,
	// when everything is saved.
	//
	// Defaults to 1 h.
	EvictIdle time.Duration
	// Budget is how long one sweep may take. The tick is acknowledged before
	// the sweep begins, so what bounds it is not the ack wait but the next
	// tick: a sweep that lasts longer runs beside that of another saver, which
	// is harmless and costs twice. Each of its parts gets a share, so that none
	// keeps the others from their turn; what is left over waits for the next.
	//
	// Defaults to 8 s.
	Budget time.Duration

	nextLetter   uint64 // where the next sweep goes on among the dead letters
	sessionsRead sessionsRead
	mirrorFilled mirrorFilled
}

const (
	// sweepList is how many characters one look into an index lists.
	sweepList = 5000
	// sweepChunk is how many of them are handled together: one query, one
	// pipeline. It bounds what a sweep holds in memory.
	sweepChunk = 500
	// sweepAtOnce is how many dispatches are under way at a time: each waits
	// for two round trips.
	sweepAtOnce = 16
	// maxBackoff is the longest time until a row is looked at again that was
	// dispatched and still is not saved.
	maxBackoff = 5 * time.Minute
)

func (c *CleanupStateSaver) setDefaults() {
	c.Grace = cmp.Or(max(c.Grace, 0), 15*time.Second)
	c.SessionIdle = cmp.Or(max(c.SessionIdle, 0), 15*time.Minute)
	c.EvictIdle = cmp.Or(max(c.EvictIdle, 0), time.Hour)
	c.Budget = cmp.Or(max(c.Budget, 0), 8*time.Second)
}

// Scope implements Saver.
func (c *CleanupStateSaver) Scope() events.Scope { return events.ScopeCleanup }

// Save implements Saver. Cleanup has no table of its own.
func (c *CleanupStateSaver) Save(context.Context, pgx.Tx, []events.StateChanged) error { return nil }

// AfterCommit implements AfterCommitter: it sweeps.
func (c *CleanupStateSaver) AfterCommit(ctx context.Context, _ []events.StateChanged) error {
	return c.Sweep(ctx, time.Now())
}

// Sweep does one round at now. Its parts do not depend on each other, so the
// error joins theirs. It is not safe beside itself in one process.
func (c *CleanupStateSaver) Sweep(ctx context.Context, now time.Time) error {
	c.setDefaults()
	s := &sweep{CleanupStateSaver: c, now: now, began: time.Now()}
	_, trimErr := c.Stream.Trim(ctx)
	return errors.Join(trimErr,
		s.until(0.25).endLost(ctx),
		s.fetchEscrow(ctx),
		s.until(0.7).dispatchOverdue(ctx),
		s.until(0.78).fillMirror(ctx),
		s.until(0.83).resolveLetters(ctx),
		s.until(0.93).complete(ctx),
		s.until(1).evict(ctx))
}
