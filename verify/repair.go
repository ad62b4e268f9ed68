package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/savepoint-games/savepoint/events"
)

// Game orders what mends; see gateway.Service.
type Game interface {
	// Dispatch orders a save of a scope from the hot state.
	Dispatch(ctx context.Context, scope events.Scope, char events.CharID) (int, error)
	// Rejoin joins the hot copy with the others, which alone decide about the
	// distrusted rows.
	Rejoin(ctx context.Context, char events.CharID, distrusted ...events.RowKey) error
	// Restate says rows of the hot copy once more, at a new version.
	Restate(ctx context.Context, char events.CharID, rows ...events.RowKey) error
	// RefreshMirror shows the contexts in the mirror again.
	RefreshMirror(ctx context.Context, char events.CharID) error
}

// Publisher puts events into the stream; see bus.Bus.
type Publisher interface {
	Publish(ctx context.Context, batch ...events.StateChanged) error
}

// Marks are the dirty marks; see hot.Store.
type Marks interface {
	Clear(ctx context.Context, saved map[events.CharID]events.RowVersions) error
}

// Repairer mends what a Verifier found. All its ways go through versions, so it
// cannot put an older value over a newer one, and the game and the savers may go
// on meanwhile: what it publishes they save.
type Repairer struct {
	Verifier  *Verifier // must have a Stream
	Game      Game
	Publisher Publisher
	Marks     Marks
	// Done, where not nil, is told what was done about each row, or why nothing.
	Done func(Action)
}

// An Action is what was done about a row.
type Action struct {
	Char events.CharID `json:"char_id"`
	Row  events.RowKey `json:"row"`
	Did  string        `json:"did"`
	Err  error         `json:"-"`
}

func (a Action) String() string {
	text := fmt.Sprintf("character %d, %s: %s", a.Char, a.Row, a.Did)
	if a.Err != nil {
		text += ": " + a.Err.Error()
	}
	return text
}

// Run mends some characters: each is read again, with the stream, and what still
// differs is mended. An error means that a server is away; what cannot be mended
// is told to Done, and found by the next comparison.
func (r *Repairer) Run(ctx context.Context, chars []events.CharID) error {
	verifier := r.Verifier.withWholeStream()
	limit := newLimiter(verifier.Rate)
	for part := range slices.Chunk(chars, chunk) {
		all, err := verifier.read(ctx, part)
		if err != nil {
			return err
		}
		for _, c := range all {
			if err := r.mend(ctx, c); err != nil {
				return err
			}
		}
		limit.wait(ctx, len(part))
	}
	return ctx.Err()
}

// mend mends one character. What is joined into Redis first can then be said by
// Redis.
func (r *Repairer) mend(ctx context.Context, c *copies) error {
	m := &mending{Repairer: r, copies: c}
	m.plan(c.differences())
	for _, step := range []func(context.Context) error{m.replayEvents, m.rejoinHot, m.restateRows, m.dispatchScopes, m.clearMarks} {
		if err := step(ctx); events.IsUnavailable(err) || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// mending is what is to be done for one character.
type mending struct {
	*Repairer
	*copies
	replay, rejoin, restate, dispatch []events.RowKey
	distrusted                        []events.RowKey
}

// plan decides what each row needs.
func (m *mending) plan(diffs []Difference) {
	for _, d := range diffs {
		if d.Known && d.Hot.Version < max(d.Stream.Version, d.Cold.Version) && d.Verdict != Leftover && !isFight(d.Row) {
			m.rejoin = append(m.rejoin, d.Row)
		}
		switch d.Verdict {
		case Unstored, Unpublished:
			m.planUnsaved(d)
		case HotWrong:
			m.rejoin, m.distrusted = append(m.rejoin, d.Row), append(m.distrusted, d.Row)
		case ColdWrong:
			m.restate = append(m.restate, d.Row)
		case Pending:
			m.did(d.Row, "nothing: a saver will come to its event", nil)
		case Undecided:
			m.did(d.Row, "nothing: give it a value by an action of the game, or correct one of the two", nil)
		}
	}
}

// planUnsaved decides about a row that PostgreSQL lacks: Redis says it again
// where it can, else the stream.
func (m *mending) planUnsaved(d Difference) {
	switch {
	case m.hotSays(d):
		m.dispatch = append(m.dispatch, d.Row)
	case d.Event.Sequence > 0 && d.Stream.Version >= d.Hot.Version:
		m.replay = append(m.replay, d.Row)
	default:
		m.did(d.Row, "nothing: no event can say it any more, neither of Redis nor of the stream", nil)
	}
}

// hotSays reports whether a dispatch says the row at its newest version.
// Experience is said by the fights that brought it, while Redis keeps them.
func (m *mending) hotSays(d Difference) bool {
	if d.Hot.Version == 0 || d.Hot.Version < d.Stream.Version {
		return false
	}
	if d.Row != events.RowProgress {
		return true
	}
	for _, session := range m.hot.Sessions {
		if session.Result != nil && session.Version == d.Hot.Version {
			return true
		}
	}
	return false
}

// replayEvents publishes stored events once more.
func (m *mending) replayEvents(ctx context.Context) (errs error) {
	published := make(map[uint64]error) // one event may set several rows
	for _, key := range m.replay {
		e := m.newest[key]
		err, done := published[e.Sequence]
		if !done {
			err = m.Publisher.Publish(ctx, e.StateChanged)
			published[e.Sequence] = err
			errs = errors.Join(errs, err)
		}
		m.did(key, fmt.Sprintf("published event %d of the stream again", e.Sequence), err)
	}
	return errs
}

func (m *mending) rejoinHot(ctx context.Context) error {
	if len(m.rejoin) == 0 {
		return nil
	}
	err := m.Game.Rejoin(ctx, m.char, m.distrusted...)
	for _, key := range m.rejoin {
		m.did(key, "joined the hot copy with the others", err)
	}
	return err
}

func (m *mending) restateRows(ctx context.Context) (errs error) {
	for _, key := range m.restate {
		err := m.Game.Restate(ctx, m.char, key)
		m.did(key, "said the value of the hot copy again, at a new version", err)
		errs = errors.Join(errs, err)
	}
	return errs
}

func (m *mending) dispatchScopes(ctx context.Context) (errs error) {
	dispatched := make(map[events.Scope]error)
	for _, key := range m.dispatch {
		scope := key.Scope()
		err, done := dispatched[scope]
		if !done {
			_, err = m.Game.Dispatch(ctx, scope, m.char)
			dispatched[scope] = err
			errs = errors.Join(errs, err)
		}
		m.did(key, "dispatched "+string(scope)+" from the hot copy", err)
	}
	return errs
}

// clearMarks clears the marks of what is saved, and shows the contexts again
// where the mirror is behind.
func (m *mending) clearMarks(ctx context.Context) (errs error) {
	cold, saved := m.coldRows(), make(events.RowVersions)
	for key, version := range m.hot.Dirty {
		_, trade := key.Transfer()
		switch have := cold[key].Version; {
		case trade: // PostgreSQL is read for trades in escrow only, whose sender is not done
		case key.Scope() == "":
			err := m.Game.RefreshMirror(ctx, m.char)
			m.did(key, "showed the contexts in the mirror", err)
			errs = errors.Join(errs, err)
		case have >= version:
			saved[key] = have
		}
	}
	for id, session := range m.hot.Sessions { // also where the mark is gone already
		if have := m.saved[id]; session.Result != nil && have >= session.Version {
			saved[events.RowFight(id)] = have
		}
	}
	if len(saved) == 0 {
		return errs
	}
	err := m.Marks.Clear(ctx, map[events.CharID]events.RowVersions{m.char: saved})
	for _, key := range slices.Sorted(maps.Keys(saved)) {
		m.did(key, "cleared the mark of what is saved", err)
	}
	return errors.Join(errs, err)
}

func (m *mending) did(key events.RowKey, what string, err error) {
	if m.Done != nil {
		m.Done(Action{Char: m.char, Row: key, Did: what, Err: err})
	}
}
