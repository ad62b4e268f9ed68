package gateway

import (
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Remembered is what a gateway would decide the next action of a character on,
// with the parts that it has; nil where it would load.
func (s *Service) Remembered(char events.CharID) (*game.State, game.Want) {
	m, ok := s.copies.known.Get(char)
	if !ok || m.contested {
		return nil, game.Want{}
	}
	return &m.loaded.State, m.has
}
