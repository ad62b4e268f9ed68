package gateway

import (
	"context"
	"errors"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Restate writes rows of a character once more, with the values that they have in the hot
// copy and at a new version: for rows of which PostgreSQL has another value at the same
// version, which no event of that version can correct. Rows that Redis does not have are
// left alone. The error wraps game.ErrNotRestated where a row cannot be said by itself;
// the others are restated all the same.
func (s *Service) Restate(ctx context.Context, char events.CharID, rows ...events.RowKey) error {
	var refused error
	_, err := s.act(ctx, action{
		char: char, load: s.loader(char, game.Everything),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			var change *game.Change
			change, refused = game.Restate(&l.State, v, s.Cause, rows)
			return change, &Answer{}, nil
		},
	})
	return errors.Join(err, refused)
}
