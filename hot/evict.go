package hot

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// EvictMany forgets those characters that nobody has seen since t and that are
// neither dirty nor in a context. It returns the others.
func (s *Store) EvictMany(ctx context.Context, chars []events.CharID, t time.Time) (stay []events.CharID, err error) {
	if len(chars) == 0 {
		return nil, nil
	}
	calls := make([]call, len(chars))
	for i, char := range chars {
		calls[i] = call{[]string{
			keyContexts(char), keyMarks(char), s.indexes.key(indexIdle, char),
			keyVitals(char), keyItems(char), keyProgress(char), keyScenarios(char), keyTransfers(char),
		}, []string{char.String(), strconv.FormatInt(t.UnixMicro(), 10)}}
	}
	replies, err := s.callEach(ctx, fnEvict, calls)
	if err != nil {
		return nil, fmt.Errorf("evict %d characters: %w", len(chars), unavailable(err))
	}
	for i, reply := range replies {
		if gone, _ := reply.Int(); gone != 1 {
			stay = append(stay, chars[i])
		}
	}
	return stay, nil
}
