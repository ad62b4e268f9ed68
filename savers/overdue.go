package savers

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/events"
)

// dispatchOverdue handles the marks that have stood too long. PostgreSQL is asked first:
// what it has is cleared. Then the stream: while the savers are behind the mark, its
// event is taken to be in the backlog. What is left was never published or is lost, and
// is dispatched. Each character that is looked at leaves the front of the list, saved or
// not, so all get their turn.
func (s *sweep) dispatchOverdue(ctx context.Context) error {
	o := &overdue{sweep: s, backlog: newBacklogs(s.Stream, s.Grace)}
	defer o.report()
	for !s.over(ctx) {
		chars, err := s.Hot.Overdue(ctx, s.now.Add(-s.Grace), sweepList)
		if err != nil || len(chars) == 0 {
			return err
		}
		for len(chars) > 0 && !s.over(ctx) {
			chunk := chars[:min(sweepChunk, len(chars))]
			chars = chars[len(chunk):]
			if err := o.handle(ctx, chunk); err != nil {
				return err
			}
		}
	}
	return nil
}

// overdue looks after characters with overdue marks, a chunk at a time.
type overdue struct {
	*sweep
	backlog *backlogs

	mu                 sync.Mutex // guards the counts
	characters, events int
}

// handle handles characters together, as far as that goes; see bisect.
func (o *overdue) handle(ctx context.Context, chars []events.CharID) error {
	return o.bisect(ctx, chars, o.together, o.putOff)
}

// putOff sends a character to the back of the list that a question failed for.
func (o *overdue) putOff(ctx context.Context, char events.CharID, cause error) error {
	o.Log.Warn("unsaved rows not looked at", "char_id", char, "err", cause)
	return o.Hot.PostponeOverdue(ctx, map[events.CharID]time.Time{char: o.now.Add(maxBackoff)})
}

func (o *overdue) together(ctx context.Context, chars []events.CharID) error {
	marks, err := o.Hot.Marks(ctx, chars)
	if err != nil {
		return err
	}
	saved, err := o.Cold.Rows(ctx, marks)
	if err != nil {
		return err
	}
	if err := o.Hot.Clear(ctx, overtaken(marks, saved)); err != nil {
		return err
	}
	lost := make(map[events.CharID]events.RowVersions, len(chars))
	for _, char := range chars {
		if lost[char], err = o.lost(ctx, marks[char], saved[char]); err != nil {
			return err
		}
	}
	return o.dispatchAll(ctx, lost)
}

// dispatchAll dispatches what is lost and moves the characters behind the others. One
// that a server was away for is looked at again as soon as the grace is over: it may be
// the only one, and after an outage nobody is to wait.
func (o *overdue) dispatchAll(ctx context.Context, lost map[events.CharID]events.RowVersions) error {
	var (
		group errgroup.Group
		mu    sync.Mutex // guards until
		until = make(map[events.CharID]time.Time, len(lost))
	)
	group.SetLimit(sweepAtOnce)
	for char, rows := range lost {
		group.Go(func() (err error) {
			if len(rows) > 0 {
				err = o.dispatch(ctx, char, rows)
			}
			wait := o.backoff(rows)
			if err != nil {
				wait = 0
			}
			mu.Lock()
			defer mu.Unlock()
			// At least a little, so that one sweep looks at nobody twice.
			until[char] = o.now.Add(max(wait, time.Millisecond))
			return err
		})
	}
	err := group.Wait()
	return errors.Join(err, o.Hot.PostponeOverdue(ctx, until))
}

// overtaken returns the marked rows that are saved. A character without any is in it,
// too: its place in the index may be all that is left of it.
func overtaken(marks, saved map[events.CharID]events.RowVersions) map[events.CharID]events.RowVersions {
	out := make(map[events.CharID]events.RowVersions, len(marks))
	for char, rows := range marks {
		out[char] = make(events.RowVersions, len(rows))
		for row, version := range rows {
			if saved[char][row] >= version {
				out[char][row] = saved[char][row]
			}
		}
	}
	return out
}

// lost lists the marks that are neither saved nor in the backlog.
func (o *overdue) lost(ctx context.Context, marks, saved events.RowVersions) (events.RowVersions, error) {
	lost := make(events.RowVersions)
	for row, version := range marks {
		if saved[row] >= version && !isOfAnother(row, version, saved[row]) || version.Time().After(o.now.Add(-o.Grace)) {
			continue
		}
		if scope := row.Scope(); scope != "" {
			waiting, err := o.backlog.mayHold(ctx, scope, version)
			if err != nil {
				return nil, err
			}
			if waiting {
				continue
			}
		}
		lost[row] = version
	}
	return lost, nil
}

// isOfAnother reports whether the saved trade may be another one, of other characters,
// under the same id: a completed trade's row is at most one version above its mark.
func isOfAnother(row events.RowKey, mark, saved events.Version) bool {
	_, trade := row.Transfer()
	return trade && saved > mark+1
}

// backoff is how long a character may wait beyond the grace until it is looked
// at again. A row that was dispatched and is not saved then will most likely be
// refused again, so the waits grow with the age of the oldest.
func (o *overdue) backoff(lost events.RowVersions) (wait time.Duration) {
	for _, version := range lost {
		wait = max(wait, o.now.Sub(version.Time()))
	}
	return min(wait, maxBackoff)
}

// dispatch orders the saves of a character's lost rows. An error of the
// character's own is logged: it comes back with the next turn.
func (o *overdue) dispatch(ctx context.Context, char events.CharID, lost events.RowVersions) error {
	dispatched := 0
	defer func() { o.count(dispatched) }()
	for scope := range scopesOf(lost) {
		n, err := 0, error(nil)
		if scope == "" {
			err = o.Game.RefreshMirror(ctx, char) // the one row that no saver stores
		} else {
			n, err = o.Game.Dispatch(ctx, scope, char)
		}
		dispatched += n
		if err != nil && !goOn(ctx, err) {
			return err
		}
		if err != nil {
			o.Log.Warn("unsaved rows not dispatched", "char_id", char, "err", err)
		}
	}
	return nil
}

func scopesOf(rows events.RowVersions) map[events.Scope]bool {
	scopes := make(map[events.Scope]bool)
	for row := range rows {
		scopes[row.Scope()] = true
	}
	return scopes
}

func (o *overdue) count(events int) {
	if events == 0 {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.characters++
	o.events += events
}

func (o *overdue) report() {
	if o.events > 0 {
		o.Log.Info("dispatched what nobody had published", "characters", o.characters, "events", o.events)
	}
}

// backlogs remembers, for one sweep, how far the savers of each scope are.
type backlogs struct {
	stream CleanupStream
	grace  time.Duration
	since  map[events.Scope]time.Time // from when on events wait
}

func newBacklogs(stream CleanupStream, grace time.Duration) *backlogs {
	return &backlogs{stream: stream, grace: grace, since: make(map[events.Scope]time.Time)}
}

// mayHold reports whether the event of a change may still wait in the stream.
// It was published, if ever, some moments after the change; the grace allows
// for that and for clocks that differ.
func (b *backlogs) mayHold(ctx context.Context, scope events.Scope, v events.Version) (bool, error) {
	since, ok := b.since[scope]
	if !ok {
		var err error
		if since, err = b.stream.WaitsSince(ctx, scope); err != nil {
			return false, err
		}
		b.since[scope] = since
	}
	return since.Before(v.Time().Add(b.grace / 2)), nil
}
