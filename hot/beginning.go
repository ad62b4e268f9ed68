package hot

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

// Beginning returns for how long the server that holds a character has kept what it was
// told, and a token that changes with the next restart, failover or FLUSHALL.
func (s *Store) Beginning(ctx context.Context, char events.CharID) (token string, age time.Duration, err error) {
	token, age, err = readBeginning(s.call(ctx, fnBeginning, []string{s.indexes.key(indexBeginning, char)}))
	if err != nil {
		return "", 0, fmt.Errorf("beginning of character %d: %w", char, err)
	}
	return token, age, nil
}

// NoteBeginnings notes the beginning of every slot of a cluster that has none noted; 16,384
// of them take a tenth of a second.
func (s *Store) NoteBeginnings(ctx context.Context) error {
	var calls []call
	for _, key := range s.indexes.all(indexBeginning) {
		calls = append(calls, call{keys: []string{key}})
	}
	if _, err := s.callEach(ctx, fnBeginning, calls); err != nil {
		return fmt.Errorf("note beginnings: %w", unavailable(err))
	}
	return nil
}

func readBeginning(cmd *redis.Cmd) (token string, age time.Duration, err error) {
	reply, err := cmd.Slice()
	if err != nil {
		return "", 0, unavailable(err)
	}
	token, _ = reply[0].(string)
	micros, _ := reply[1].(int64)
	return token, time.Duration(micros) * time.Microsecond, nil
}
