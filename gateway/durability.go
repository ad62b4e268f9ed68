package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Durability is how far a change has come.
type Durability string

// The levels, each includes the one before.
const (
	DurabilityHot    Durability = "hot"    // committed in Redis; the dirty mark guarantees the save
	DurabilityStream Durability = "stream" // stored by JetStream
	DurabilityCold   Durability = "cold"   // committed in PostgreSQL
)

// Valid reports whether d is one of the levels.
func (d Durability) Valid() bool {
	return d == DurabilityHot || d == DurabilityStream || d == DurabilityCold
}

// publish sends the events of a change that has led to an answer, and shows its
// contexts in the mirror, waits as long as the caller wants to, and tells how far
// the change has come. It cannot fail: what it does not reach, the dirty marks
// make up for.
func (s *Service) publish(ctx context.Context, c *game.Change, answer *Answer, opts Options) Durability {
	if !c.NeedsPublish() {
		return DurabilityHot
	}
	origin := game.Origin{Trace: opts.Trace, Request: answer.request}
	var save *awaitedSave
	if opts.Durability == DurabilityCold {
		save = newAwaitedSave(map[events.CharID][]events.Row{c.Char: savedRows(c)})
		origin.Saved = save.done
	}
	stored, err := s.send(ctx, answer.sentAt, origin, c.Events...)
	if err != nil {
		s.Log.Debug("not published; the dirty mark stays", "char_id", c.Char, "err", err)
		return DurabilityHot
	}
	if len(c.Contexts) > 0 {
		put := s.Mirror.Put
		if c.Expect[game.PartContexts] == 0 {
			put = s.Mirror.PutFirst
		}
		// What was committed, not what Redis has now: it may have lost it since.
		if err := s.show(ctx, c.Char, game.Contexts{Version: c.Version, Active: c.Active}, put); err != nil {
			s.Log.Debug("mirror is behind; the dirty mark stays", "char_id", c.Char, "err", err)
			return DurabilityHot
		}
	}
	reached, err := s.waitUntil(ctx, opts.Durability, stored, save)
	if err != nil {
		s.Log.Debug("no ack in time; the dirty mark stays", "char_id", c.Char, "err", err)
	}
	return reached
}

// waitUntil waits until what was sent has the wanted durability, and returns the one that
// it has reached. save is what to wait for with DurabilityCold, else nil. The error says
// why it has not reached the stream.
func (s *Service) waitUntil(ctx context.Context, wanted Durability, stored func() error, save *awaitedSave) (Durability, error) {
	if wanted == DurabilityHot {
		return DurabilityHot, nil
	}
	if err := stored(); err != nil {
		return DurabilityHot, err
	}
	if save != nil && s.waitFor(ctx, save) {
		return DurabilityCold, nil
	}
	return DurabilityStream, nil
}

// errLate is the reason why a commit, or what was loaded, is too old to be published and
// is left to the dirty marks.
var errLate = errors.New("too long since it was read or written: Redis may have lost it meanwhile")

// send starts to publish events that were committed after startedAt. stored returns nil
// when the stream has them within PublishTimeout, and within PublishBy: what comes later
// may be missing from copies that were joined meanwhile, so it is left to the dirty
// marks, which are lost only together with the commit.
func (s *Service) send(ctx context.Context, startedAt time.Time, origin game.Origin, batch ...events.StateChanged) (stored func() error, err error) {
	if time.Since(startedAt) > s.PublishBy {
		return nil, errLate
	}
	wait, err := s.Stream.Send(origin, batch...)
	if err != nil {
		return nil, err
	}
	short, cancel := s.publishing.within(ctx)
	return func() error {
		defer cancel()
		if err := wait(short); err != nil {
			return err
		}
		if time.Since(startedAt) > s.PublishBy {
			return errLate
		}
		return nil
	}, nil
}

// publishAgain is publish for a request that was committed before, with the answer that
// was kept for it.
func (s *Service) publishAgain(ctx context.Context, a action, answer *Answer) Durability {
	startedAt := time.Now()
	want := game.Everything
	want.Request = answer.request.Key
	l, err := s.Hot.Load(ctx, a.char, want)
	// Marks tell what is not published only where Redis still has the change.
	if err != nil || !l.Verified || l.Version < answer.Version || l.Record != answer.request.Record {
		return DurabilityHot
	}
	if err := s.publishLoaded(ctx, l, startedAt, game.Origin{Trace: a.opts.Trace, Request: answer.request}); err != nil {
		s.Log.Debug("repeat not published; the dirty marks stay", "char_id", a.char, "err", err)
		return DurabilityHot
	}
	if a.opts.Durability == DurabilityCold {
		waiting, cancel := context.WithTimeout(ctx, s.ColdTimeout)
		defer cancel()
		if view, err := s.AwaitSaved(waiting, a.char, answer.Version); err == nil && view.Saved {
			return DurabilityCold
		}
	}
	return DurabilityStream
}

// publishLoaded publishes all that the marks of l name. l was loaded after startedAt.
func (s *Service) publishLoaded(ctx context.Context, l *game.Loaded, startedAt time.Time, origin game.Origin) error {
	marked := make(map[events.Scope]bool)
	for row := range l.Dirty {
		marked[row.Scope()] = true
		if id, ok := row.Fight(); ok && l.Sessions[id].Result == nil {
			return errLate // the fight was not loaded with its mark
		}
	}
	var batch []events.StateChanged
	for _, scope := range events.Scopes() {
		if marked[scope] {
			batch = append(batch, game.Snapshot(&l.State, scope, s.Cause)...)
		}
	}
	stored := func() error { return nil }
	if len(batch) > 0 {
		var err error
		if stored, err = s.send(ctx, startedAt, origin, batch...); err != nil {
			return err
		}
	}
	if marked[game.RowContexts.Scope()] {
		if err := s.show(ctx, l.Char, l.Contexts, s.Mirror.Put); err != nil {
			return err
		}
	}
	return stored()
}
