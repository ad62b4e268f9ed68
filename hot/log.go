package hot

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogTo sends what the Redis client logs by itself (a pool that cannot connect, a cluster
// whose nodes do not answer) to log, for the whole process. Without it the client writes
// lines of its own to standard error, whatever the program's log looks like.
func LogTo(log *slog.Logger) { redis.SetLogger(clientLog{log}) }

type clientLog struct{ log *slog.Logger }

// Printf is called by go-redis, which has no levels and logs only what went wrong.
func (c clientLog) Printf(ctx context.Context, format string, args ...any) {
	c.log.WarnContext(ctx, "the Redis client says", "what", fmt.Sprintf(format, args...))
}
