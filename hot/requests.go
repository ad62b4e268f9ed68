package hot

import (
	"context"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// mostAnswers is how many answers, the newest, a join brings back at most: those of a
// minute in which a character acted thirty times a second.
const mostAnswers = 2048

// requestMemory is how long a generation of answers is remembered; the same in
// library.lua, which says when one ends.
const requestMemory = 48 * time.Hour

// Refuse keeps the answer of a request that changes nothing, so that the same
// request, late on its way, is not decided anew when the state has changed. It
// returns a *game.ReplayError where the key is known already, and game.ErrUnverified as
// Commit does: others may know the answer.
func (s *Store) Refuse(ctx context.Context, char events.CharID, r game.Request) error {
	return s.run(ctx, newArgs(s, modeRefuse, &game.Change{Char: char, Unseen: true}, r, ""))
}

// forgotten returns the newest of these answers, without those in the older half of what
// Redis remembers. Those would be written to the newer half a second time and fill it;
// then the older half goes, and with it answers that no event brings back.
func (s *Store) forgotten(ctx context.Context, char events.CharID, answers []game.Request) ([]game.Request, error) {
	answers = answers[max(0, len(answers)-mostAnswers):]
	if len(answers) == 0 {
		return nil, nil
	}
	keys := make([]string, len(answers))
	for i := range answers {
		keys[i] = answers[i].Key
	}
	records, err := s.rdb.HMGet(ctx, keyRequestsOld(char), keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("answers that character %d remembers: %w", char, unavailable(err))
	}
	var out []game.Request
	for i := range answers {
		if records[i] == nil {
			out = append(out, answers[i])
		}
	}
	return out, nil
}

// remember keeps answers, where Redis does not have them itself.
func (a *args) remember(answers []game.Request) {
	for _, r := range answers {
		a.command("HSETNX", keyRequests(a.change.Char), r.Key, r.Record)
	}
	if len(answers) > 0 {
		for _, how := range []string{"NX", "GT"} { // where the key does not expire, or would earlier
			a.command("EXPIRE", keyRequests(a.change.Char), itoa(int64(requestMemory/time.Second)), how)
		}
	}
}
