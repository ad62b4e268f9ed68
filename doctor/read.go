package doctor

import (
	"context"
	"sync"
	"time"

	"github.com/savepoint-games/savepoint/bus"
)

// Config says where the servers are.
type Config struct {
	NATSURL, RedisURL, DatabaseURL string
	// MonitorURLs are monitoring endpoints of NATS servers, as in
	// http://127.0.0.1:8222.
	//
	// Defaults to none: what only they tell is then not known.
	MonitorURLs []string
	// Want is what the streams are configured to be.
	Want bus.Topology
	// PoolSize is how many connections to PostgreSQL one saver may open.
	PoolSize int
	// Timeout bounds all of Read.
	//
	// Defaults to 10 s.
	Timeout time.Duration
}

const (
	defaultTimeout = 10 * time.Second
	// dialTimeout is for one attempt to reach one server.
	dialTimeout = 2 * time.Second
)

// Read asks all servers side by side. One that does not answer is noted in its
// place, so Read has no error; it returns when all have answered or the timeout
// is over.
func Read(ctx context.Context, cfg Config) Settings {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	s := Settings{Now: time.Now(), Shared: shared(cfg)}
	var group sync.WaitGroup
	group.Go(func() { s.Redis = readRedis(ctx, cfg.RedisURL) })
	group.Go(func() { s.NATS = readNATS(ctx, cfg) })
	group.Go(func() { s.Postgres = readPostgres(ctx, cfg) })
	group.Wait()
	return s
}

// readClock asks a clock some times and keeps the answer that came fastest: it
// is the surest.
func readClock(ask func() (time.Time, error)) Offset {
	var best Offset
	for range 3 {
		sent := time.Now()
		at, err := ask()
		if err != nil {
			return best
		}
		if o := measured(sent, at, time.Now()); !best.Known || o.Within < best.Within {
			best = o
		}
	}
	return best
}
