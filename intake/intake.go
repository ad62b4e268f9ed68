package intake

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
)

// An Intake opens sources on a connection to NATS, and ends what they have begun. It is
// safe for concurrent use.
type Intake struct {
	bus *bus.Bus
	nc  *nats.Conn
	js  jetstream.JetStream
	log *slog.Logger

	closing     chan struct{} // closed by Close
	close       func()
	catchUps    sync.WaitGroup
	settleEvery time.Duration
	silentAfter time.Duration
}

// New returns an intake on b, which is to be closed before b is.
func New(b *bus.Bus, log *slog.Logger) *Intake {
	in := &Intake{
		bus: b, nc: b.Conn(), js: b.JetStream(), log: log,
		closing: make(chan struct{}), settleEvery: settleEvery, silentAfter: silentAfter,
	}
	in.close = sync.OnceFunc(func() { close(in.closing) })
	return in
}

// Close has catch-ups settle what is saved, and end; it waits for them at most until ctx
// is done. ctx must have a deadline. Nobody fetches any more.
func (in *Intake) Close(ctx context.Context) {
	in.close()
	ended := make(chan struct{})
	go func() {
		in.catchUps.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done(): // without a connection they will end
	}
}
