package gateway

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// awaitedSaves are the changes whose callers wait until they are saved. The saver says so
// (see game.Origin), but its word may get lost, so PostgreSQL is asked, too: once for all
// who wait, because a query for each would cost it more than the saves do.
type awaitedSaves struct {
	running sync.WaitGroup

	mu      sync.Mutex // guards the rest
	busy    bool
	waiting map[*awaitedSave]struct{}
}

// An awaitedSave is what one caller waits for.
type awaitedSave struct {
	rows  map[events.CharID][]events.Row
	saved chan struct{} // closed by done
	done  func()        // says that all of rows are saved
}

func newAwaitedSave(rows map[events.CharID][]events.Row) *awaitedSave {
	a := &awaitedSave{rows: rows, saved: make(chan struct{})}
	a.done = sync.OnceFunc(func() { close(a.saved) })
	return a
}

const (
	// lookEvery is the pause between two queries. A saver needs 1 to 10 ms and says so;
	// the queries find the saves whose word got lost.
	lookEvery = 20 * time.Millisecond
	// lookLater is the pause after PostgreSQL did not answer.
	lookLater = 50 * time.Millisecond
)

// savedRows are the rows of a change that a saver writes.
func savedRows(c *game.Change) []events.Row {
	return slices.DeleteFunc(c.Marks(), func(row events.Row) bool { return row.Key == game.RowContexts })
}

// waitFor waits for a save, at most for ColdTimeout, and reports whether it is done.
func (s *Service) waitFor(ctx context.Context, save *awaitedSave) bool {
	if save.isSaved(nil) {
		return true // there is nothing to save
	}
	ctx, cancel := context.WithTimeout(ctx, s.ColdTimeout)
	defer cancel()
	s.awaited.add(save, s.lookForSaves)
	defer s.awaited.remove(save)
	select {
	case <-save.saved:
		return true
	case <-ctx.Done():
		return false
	}
}

func (a *awaitedSaves) add(one *awaitedSave, look func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting[one] = struct{}{}
	if !a.busy {
		a.busy = true
		a.running.Go(look)
	}
}

func (a *awaitedSaves) remove(one *awaitedSave) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.waiting, one)
}

// all returns the saves that are waited for. When there are none lookForSaves ends, and
// the next add starts it again.
func (a *awaitedSaves) all() []*awaitedSave {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy = len(a.waiting) > 0
	return slices.Collect(maps.Keys(a.waiting))
}

// lookForSaves asks for the awaited saves until nobody waits.
func (s *Service) lookForSaves() {
	for pause := lookEvery; ; {
		time.Sleep(pause)
		waiting := s.awaited.all()
		if len(waiting) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), s.ActionTimeout)
		saved, err := s.doneSaves(ctx, waiting)
		cancel()
		pause = lookEvery
		if err != nil {
			pause = lookLater
			s.Log.Debug("saves not looked for", "waiting", len(waiting), "err", err)
		}
		for _, one := range saved {
			s.awaited.remove(one)
			one.done()
		}
	}
}

// doneSaves returns those of waiting whose rows are saved. It asks PostgreSQL instead of
// looking for the dirty marks: they go later, and their absence proves nothing where
// Redis has lost its memory.
func (s *Service) doneSaves(ctx context.Context, waiting []*awaitedSave) ([]*awaitedSave, error) {
	rows, err := s.Cold.Rows(ctx, wantedBy(waiting))
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(waiting, func(one *awaitedSave) bool { return !one.isSaved(rows) }), nil
}

// isSaved reports whether all rows are among those that are saved.
func (a *awaitedSave) isSaved(saved map[events.CharID]events.RowVersions) bool {
	for char, rows := range a.rows {
		if !saved[char].Has(rows...) {
			return false
		}
	}
	return true
}

// wantedBy are the rows of all who wait.
func wantedBy(waiting []*awaitedSave) map[events.CharID]events.RowVersions {
	wanted := make(map[events.CharID]events.RowVersions)
	for _, one := range waiting {
		for char, rows := range one.rows {
			if wanted[char] == nil {
				wanted[char] = make(events.RowVersions)
			}
			wanted[char].Add(rows...)
		}
	}
	return wanted
}
