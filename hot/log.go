package hot

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogTo lets log have what the Redis client says by itself (a pool that cannot connect,
// a cluster whose nodes do not answer), in all of the process. Without it those are
// lines of their own on standard error, whatever the program's log looks like.
func LogTo(log *slog.Logger) { redis.SetLogger(clientLog{log}) }

type clientLog struct{ log *slog.Logger }

// Printf is of go-redis, which tells no levels: it speaks of what went wrong.
func (c clientLog) Printf(ctx context.Context, format string, args ...any) {
	c.log.WarnContext(ctx, "the Redis client says", "what", fmt.Sprintf(format, args...))
}
