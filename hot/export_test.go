package hot

import (
	"context"
	"runtime"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// IndexKey is the key of an index that lists the character.
func (s *Store) IndexKey(index string, c events.CharID) string { return s.indexes.key(index, c) }

// FewMarks is up to how many characters marks are cleared without asking first.
const FewMarks = fewMarks

// MostSending is how many commands may be under way before others gather.
const MostSending = mostSending

// AwaitGathered returns when so many commands wait for their turn to be sent.
func (s *Store) AwaitGathered(count int) {
	for s.gather.Waiting() < count {
		runtime.Gosched()
	}
}

// Prepare makes the command of a commit, as Commit does, and does not send it.
func (s *Store) Prepare(ctx context.Context, c *game.Change) error {
	a, err := s.commitArgs(modeCommit, c, game.Request{})
	if err != nil {
		return err
	}
	keys, argv := a.all()
	command(ctx, a.sent[:], fnCommit, keys, argv)
	usedArgs.Put(a)
	return nil
}

// Evict forgets a character that nobody has seen since t, unless it is dirty or
// in a context. It reports whether it is gone.
func (s *Store) Evict(ctx context.Context, char events.CharID, t time.Time) (bool, error) {
	stay, err := s.EvictMany(ctx, []events.CharID{char}, t)
	return err == nil && len(stay) == 0, err
}
