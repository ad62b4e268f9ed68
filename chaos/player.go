package chaos

import "context"

// A Player plays a scope of your own beside the built-in actions, and checks it
// at the end. The programs in Config.Bin must know the scope: build them with
// it. A Player is used by all clients at once; no two play with one character.
type Player interface {
	// Play does one episode with one character: it sends, and notes what was
	// acknowledged. An error ends the run.
	Play(ctx context.Context, c *Caller, char int64) error
	// Check compares what is there with what was acknowledged, when everything
	// is mended and saved, and reports each difference. An error ends the run.
	Check(ctx context.Context, s Servers, report func(Violation)) error
}

// Servers says where the parts of a run are.
type Servers struct {
	Gateways                       []string // host:port
	NATSURL, RedisURL, DatabaseURL string
}
