package hot

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
)

// bornSource reads since when this run of Redis has kept what it was told, and
// notes it as now where it is another run, or was emptied.
const bornSource = `
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local have = redis.call('GET', KEYS[1])
local since = have and string.match(have, '^' .. run .. ':(%d+)$')
if since then return {have, now - tonumber(since)} end
have = run .. ':' .. string.format('%.0f', now)
redis.call('SET', KEYS[1], have)
return {have, 0}`

var bornScript = redis.NewScript(bornSource)

// Born tells since how long the server that holds a character has kept what it
// was told, and a token that is another one after the next restart, failover or
// FLUSHALL.
func (s *Store) Born(ctx context.Context, char events.CharID) (token string, age time.Duration, err error) {
	reply, err := bornScript.Run(ctx, s.rdb, []string{s.indexes.key(indexBorn, char)}).Slice()
	if err != nil {
		return "", 0, fmt.Errorf("beginning of character %d: %w", char, unavailable(err))
	}
	token, _ = reply[0].(string)
	micros, _ := reply[1].(int64)
	return token, time.Duration(micros) * time.Microsecond, nil
}
