// Package gateway takes actions of players: it loads, lets game decide, commits
// and publishes. It owns the interfaces it needs from Redis, NATS and
// PostgreSQL and knows none of them.
package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Hot is the hot state; see hot.Store.
type Hot interface {
	Load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error)
	Commit(ctx context.Context, c *game.Change, r game.Request) error
	CommitBlind(ctx context.Context, c *game.Change, r game.Request) error
	Refuse(ctx context.Context, char events.CharID, r game.Request) error
	CommitJoin(ctx context.Context, loaded, joined *game.State, with game.Joining) error
	// Arrived reports for each trade whether its receiver remembers it, by its
	// key or among the trades that are not saved.
	Arrived(ctx context.Context, trades []events.Transfer, keys []string) ([]bool, error)
	// NoteBeginnings notes in every slot, unless it has such a note, that what is kept
	// there is kept from now on.
	NoteBeginnings(ctx context.Context) error
	// Complete reports whether a character that Redis does not have has nothing
	// left to save.
	Complete(ctx context.Context) (bool, error)
	Clear(ctx context.Context, saved map[events.CharID]events.RowVersions) error
}

// Stream is the way to the savers; see bus.Bus.
type Stream interface {
	// Send puts events on their way; wait returns when all are stored.
	Send(origin game.Origin, batch ...events.StateChanged) (wait func(context.Context) error, err error)
	// Tails returns a function that reads those events of a character that are not saved
	// by now, and the requests that its recent events have answered.
	Tails(ctx context.Context) (of func(context.Context, events.CharID) (game.Tail, error), err error)
	// Retained calls yield with each event of a character that the stream still has and
	// stored since a time, or ever for the zero value; dead letters are left out.
	Retained(ctx context.Context, char events.CharID, since time.Time, yield func(*events.StateChanged)) error
	// Ties returns the trades carried by events that may not be saved yet and were stored
	// before a moment of the server's clock.
	Ties(ctx context.Context, before time.Time) (*game.Ties, error)
}

// Mirror shows the active contexts to others; see bus.Mirror.
type Mirror interface {
	Get(ctx context.Context, char events.CharID) (game.Contexts, error)
	// Recent may be outdated.
	Recent(ctx context.Context, char events.CharID) (game.Contexts, error)
	Put(ctx context.Context, char events.CharID, contexts game.Contexts) error
	// PutFirst is Put for a character that was probably in no context before.
	PutFirst(ctx context.Context, char events.CharID, contexts game.Contexts) error
}

// Cold is the saved state; see cold.Store.
type Cold interface {
	Load(ctx context.Context, char events.CharID) (*game.State, error)
	Fights(ctx context.Context, char events.CharID, before events.Version, limit int32) ([]game.FightRecord, error)
	SavedFights(ctx context.Context, sessions []uuid.UUID) (map[uuid.UUID]events.Version, error)
	Rows(ctx context.Context, wanted map[events.CharID]events.RowVersions) (map[events.CharID]events.RowVersions, error)
	Transfer(ctx context.Context, id uuid.UUID) (t events.Transfer, ok bool, err error)
	Transfers(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]events.Transfer, error)
}

// Config is what a Service works with. The first five fields are required.
type Config struct {
	Hot    Hot
	Stream Stream
	Mirror Mirror
	Cold   Cold
	Log    *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics

	// Span begins a span of a trace for a request to a route, before the request is read,
	// and returns the context of all that it leads to, and what ends the span. nil for none.
	Span func(r *fasthttp.RequestCtx, route string) (ctx context.Context, end func())

	// Now is the clock. Defaults to time.Now.
	Now func() time.Time
	// Cause is what a dispatch says of itself. Defaults to events.CauseDispatch.
	Cause events.Cause
	// PublishTimeout is how long an answer waits for the stream before it says
	// "hot": the dirty mark guarantees the save.
	//
	// Defaults to 50 ms.
	PublishTimeout time.Duration
	// ActionTimeout bounds loading, deciding and committing. An action waits at most a
	// fourth of it for earlier ones of the same character.
	//
	// Defaults to 2 s.
	ActionTimeout time.Duration
	// PublishBy is how long after its commit a change may still be published and
	// be answered "stream". What takes longer is left to the dirty marks.
	//
	// Defaults to PublishBy(PublishTimeout).
	PublishBy time.Duration
	// Fence is how long after Redis was started, failed over or emptied no copy is
	// joined: what was committed before, and is on its way, is then in the stream.
	// It must be at least the PublishBy of every gateway and saver.
	//
	// Defaults to PublishBy.
	Fence time.Duration
	// ColdTimeout bounds how long durability "cold" waits for a saver.
	//
	// Defaults to 5 s.
	ColdTimeout time.Duration
}

// Service answers actions. It is safe for concurrent use.
type Service struct {
	Config

	// acting has the deadlines of commits, publishing those of acks.
	acting, publishing deadlines

	shownMarks shownMarks
	awaited    awaitedSaves
	copies     copies
	turns      *turns
	ties       *ties
	joins      joins
	noting     sync.Mutex // held while beginnings are noted
}

// New returns a Service that the caller closes.
func New(cfg Config) *Service {
	cfg = cfg.withDefaults()
	return &Service{
		Config:     cfg,
		acting:     deadlines{timeout: cfg.ActionTimeout},
		publishing: deadlines{timeout: cfg.PublishTimeout},
		shownMarks: shownMarks{waiting: make(map[events.CharID]events.RowVersions)},
		awaited:    awaitedSaves{waiting: make(map[*awaitedSave]struct{})},
		copies:     newCopies(),
		turns:      newTurns(cfg.ActionTimeout / 4),
		ties:       newTies(),
		joins:      make(joins, mostJoins),
	}
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Cause == "" {
		c.Cause = events.CauseDispatch
	}
	def := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.PublishTimeout, 50*time.Millisecond)
	def(&c.ActionTimeout, 2*time.Second)
	def(&c.ColdTimeout, 5*time.Second)
	def(&c.PublishBy, PublishBy(c.PublishTimeout))
	def(&c.Fence, c.PublishBy)
	return c
}

// PublishBy is twice the time that an answer waits for the stream, at least 300 ms.
func PublishBy(publishTimeout time.Duration) time.Duration {
	return max(300*time.Millisecond, 2*publishTimeout)
}

// Close waits for what the service does in the background, little longer than
// ActionTimeout. It is called after the last action.
func (s *Service) Close() {
	s.shownMarks.running.Wait()
	s.awaited.running.Wait()
	s.ties.close()
}
