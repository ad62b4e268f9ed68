package cold

import (
	"context"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/gather"
)

const (
	// mostLoading is how many reads may be under way before others gather: when Redis
	// has lost its memory, or at a login rush, characters are read by the thousand.
	mostLoading = 2
	// mostTogether bounds how many characters one read is for.
	mostTogether = 64
	// loadTimeout bounds a read for many. Who waits for it has a deadline of its own.
	loadTimeout = 5 * time.Second
)

// loading is a character that is read, and what was found.
type loading struct {
	char  events.CharID
	state *game.State
	err   error
}

// Load reads one character, as it is after the call began. The state's version is 0
// where PostgreSQL does not know it. Who asks for the same character at the same
// time may get the same state: it is for reading.
func (s *Store) Load(ctx context.Context, char events.CharID) (*game.State, error) {
	own := &loading{char: char}
	if err := s.loads.Do(ctx, own, func() { s.loadOne(ctx, own) }); err != nil {
		return nil, fmt.Errorf("load character %d: %w", char, unavailable(err))
	}
	return own.state, own.err
}

func (s *Store) loadOne(ctx context.Context, l *loading) {
	states, err := s.LoadMany(ctx, []events.CharID{l.char})
	l.state, l.err = states[l.char], err
}

// loadTogether reads those that have gathered. Where that fails each is read by
// itself: one that cannot be read must not be in the way of the others.
func (s *Store) loadTogether(batch []gather.One[*loading]) {
	ctx, cancel := context.WithTimeout(context.Background(), loadTimeout)
	defer cancel()
	chars := make([]events.CharID, len(batch))
	for i, one := range batch {
		chars[i] = one.What.char
	}
	states, err := s.LoadMany(ctx, chars)
	for _, one := range batch {
		one.What.state, one.What.err = states[one.What.char], err
		if err != nil && ctx.Err() == nil {
			s.loadOne(one.Ctx, one.What)
		}
	}
}
