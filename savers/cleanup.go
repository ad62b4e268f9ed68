package savers

import (
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
	Marks(ctx context.Context, char events.CharID) (map[events.RowKey]events.Version, error)
	ClearRows(ctx context.Context, char events.CharID, saved map[events.RowKey]events.Version) error
	Postpone(ctx context.Context, char events.CharID, until time.Time) error
	Lost(ctx context.Context, t time.Time, limit int) ([]events.CharID, error)
	Idle(ctx context.Context, t time.Time, limit int) ([]events.CharID, error)
	Evict(ctx context.Context, char events.CharID, t time.Time) (bool, error)
}

// CleanupCold is what cleanup asks PostgreSQL; see cold.Store.
type CleanupCold interface {
	// Rows returns the saved versions of a character's rows.
	Rows(ctx context.Context, char events.CharID, wanted map[events.RowKey]events.Version) (map[events.RowKey]events.Version, error)
}

// CleanupStream is what cleanup asks the stream; see bus.Bus.
type CleanupStream interface {
	// SavedUpTo is the time up to which everything stored is settled.
	SavedUpTo(ctx context.Context, scope events.Scope) (time.Time, error)
	// Trim drops settled events where the stream is fuller than share.
	Trim(ctx context.Context, share float64) (uint64, error)
}

// CleanupGame is what cleanup orders; see gateway.Service.
type CleanupGame interface {
	// Dispatch orders a save of a scope of a character from its hot state.
	Dispatch(ctx context.Context, scope events.Scope, char events.CharID) (int, error)
	// Abandon ends the open sessions of a character that was lost.
	Abandon(ctx context.Context, char events.CharID, idleSince time.Time) (bool, error)
	// RefreshMirror shows the character's contexts in the mirror again.
	RefreshMirror(ctx context.Context, char events.CharID) error
}

// CleanupStateSaver is the sweeper. At each tick of the server's schedule it
// finds changes that nobody has published, or that the stream no longer holds,
// and dispatches them; it ends sessions of lost characters and forgets idle ones
// that are saved. The tick goes to exactly one saver at a time.
type CleanupStateSaver struct {
	Hot    CleanupHot
	Cold   CleanupCold
	Stream CleanupStream
	Game   CleanupGame
	Log    *slog.Logger

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
	// Limit bounds how many characters of each kind one sweep handles.
	//
	// Defaults to 5,000.
	Limit int
}

// trimShare is how full the stream of changes may become before cleanup drops
// what is saved: it refuses new events when it is full, saved ones or not.
const trimShare = 0.6

func (c *CleanupStateSaver) withDefaults() *CleanupStateSaver {
	d := *c
	def := func(v *time.Duration, fallback time.Duration) {
		if *v <= 0 {
			*v = fallback
		}
	}
	def(&d.Grace, 15*time.Second)
	def(&d.SessionIdle, 15*time.Minute)
	def(&d.EvictIdle, time.Hour)
	if d.Limit < 1 {
		d.Limit = 5000
	}
	return &d
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
// error joins theirs.
func (c *CleanupStateSaver) Sweep(ctx context.Context, now time.Time) error {
	c = c.withDefaults()
	_, trimErr := c.Stream.Trim(ctx, trimShare)
	return errors.Join(trimErr, c.endLost(ctx, now), c.dispatchOverdue(ctx, now), c.evict(ctx, now))
}

// dispatchOverdue looks after the marks that have stood too long. PostgreSQL is
// asked first: what it has is cleared. Then the stream: while the savers are
// behind the mark, its event is taken to be in the backlog. What is left was
// never published or is lost, and is dispatched.
func (c *CleanupStateSaver) dispatchOverdue(ctx context.Context, now time.Time) error {
	chars, err := c.Hot.Overdue(ctx, now.Add(-c.Grace), c.Limit)
	if err != nil || len(chars) == 0 {
		return err
	}
	backlog := newBacklogs(c.Stream, c.Grace)
	dispatched := 0
	for _, char := range chars {
		n, err := c.settleMarks(ctx, char, now, backlog)
		if err != nil {
			return err
		}
		dispatched += n
	}
	if dispatched > 0 {
		c.Log.Info("dispatched what nobody had published", "characters", len(chars), "events", dispatched)
	}
	return nil
}

func (c *CleanupStateSaver) settleMarks(ctx context.Context, char events.CharID, now time.Time, backlog *backlogs) (int, error) {
	marks, err := c.Hot.Marks(ctx, char)
	if err != nil {
		return 0, err
	}
	saved, err := c.Cold.Rows(ctx, char, marks)
	if err != nil {
		return 0, err
	}
	if err := c.Hot.ClearRows(ctx, char, saved); err != nil {
		return 0, err
	}
	scopes, mirror, err := c.lost(ctx, marks, saved, now, backlog)
	if err != nil {
		return 0, err
	}
	dispatched := 0
	for scope := range scopes {
		n, err := c.Game.Dispatch(ctx, scope, char)
		if err != nil {
			return dispatched, err
		}
		dispatched += n
	}
	if mirror {
		err = c.Game.RefreshMirror(ctx, char)
	}
	return dispatched, errors.Join(err, c.Hot.Postpone(ctx, char, now))
}

// lost names the scopes whose marks are neither saved nor in the backlog.
func (c *CleanupStateSaver) lost(ctx context.Context, marks, saved map[events.RowKey]events.Version, now time.Time, backlog *backlogs) (scopes map[events.Scope]bool, mirror bool, err error) {
	scopes = make(map[events.Scope]bool)
	for row, version := range marks {
		scope := row.Scope()
		switch {
		case saved[row] >= version || version.Time().After(now.Add(-c.Grace)):
		case scope == "":
			mirror = true // the one row that no saver stores
		default:
			waiting, err := backlog.mayHold(ctx, scope, version)
			if err != nil {
				return nil, false, err
			}
			if !waiting {
				scopes[scope] = true
			}
		}
	}
	return scopes, mirror, nil
}

// endLost ends the sessions of characters that nobody has heard of.
func (c *CleanupStateSaver) endLost(ctx context.Context, now time.Time) error {
	since := now.Add(-c.SessionIdle)
	chars, err := c.Hot.Lost(ctx, since, c.Limit)
	if err != nil {
		return err
	}
	ended := 0
	for _, char := range chars {
		lost, err := c.Game.Abandon(ctx, char, since)
		if err != nil {
			return err
		}
		if lost {
			ended++
		}
	}
	if ended > 0 {
		c.Log.Info("ended the sessions of lost characters", "characters", ended)
	}
	return nil
}

// evict forgets idle characters of which everything is saved.
func (c *CleanupStateSaver) evict(ctx context.Context, now time.Time) error {
	since := now.Add(-c.EvictIdle)
	chars, err := c.Hot.Idle(ctx, since, c.Limit)
	if err != nil {
		return err
	}
	for _, char := range chars {
		if _, err := c.Hot.Evict(ctx, char, since); err != nil {
			return err
		}
	}
	return nil
}

// backlogs remembers, for one sweep, how far the savers of each scope are.
type backlogs struct {
	stream CleanupStream
	grace  time.Duration
	upTo   map[events.Scope]time.Time
}

func newBacklogs(stream CleanupStream, grace time.Duration) *backlogs {
	return &backlogs{stream: stream, grace: grace, upTo: make(map[events.Scope]time.Time)}
}

// mayHold reports whether the event of a change may still wait in the stream.
// It was published, if ever, some moments after the change; the grace allows
// for that and for clocks that differ.
func (b *backlogs) mayHold(ctx context.Context, scope events.Scope, v events.Version) (bool, error) {
	upTo, ok := b.upTo[scope]
	if !ok {
		var err error
		if upTo, err = b.stream.SavedUpTo(ctx, scope); err != nil {
			return false, err
		}
		b.upTo[scope] = upTo
	}
	return upTo.Before(v.Time().Add(b.grace / 2)), nil
}
