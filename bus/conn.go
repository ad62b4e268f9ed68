package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/secret"
)

// Bus is a connection to NATS. It is safe for concurrent use.
type Bus struct {
	nc  *nats.Conn
	js  jetstream.JetStream
	log *slog.Logger

	acks         acks
	saves        saves
	tail         tails
	allSettledAt allSettledAt
	// suspect has a value when the topology may lack something. See Keep.
	suspect chan struct{}
	// replayRest is for how long a replay may hand out nothing and still goes on.
	replayRest time.Duration
}

const (
	reconnectWait = 250 * time.Millisecond
	// writeTimeout is how long a network that hangs may hold up everybody: the
	// client writes with the connection locked. Then it is connected again.
	// The client's own limit is a minute.
	writeTimeout = 2 * time.Second
)

// Connect returns at once: the connection is made, and made again when it
// breaks, in the background. While there is none, publishing fails at once
// instead of filling a buffer, because the dirty mark is the buffer.
func Connect(url, name string, log *slog.Logger) (*Bus, error) {
	b := &Bus{
		log: log, suspect: make(chan struct{}, 1), tail: tails{memory: game.AnswerMemory}, replayRest: replayRest,
	}
	nc, err := nats.Connect(url,
		nats.Name(name),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(reconnectWait, reconnectWait),
		nats.ReconnectBufSize(-1),
		nats.Timeout(2*time.Second), nats.PingInterval(5*time.Second), nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(writeTimeout), nats.ReconnectOnFlusherError(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil when we close it
				log.Warn("nats disconnected", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			log.Info("nats connected again", "url", nc.ConnectedUrlRedacted())
			b.suspectLoss() // the server may have lost its storage
		}),
		// A publish that the server's permissions forbid looks like a lost ack;
		// only this handler is told why.
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("nats error", "err", err) }),
	)
	if err != nil {
		return nil, fmt.Errorf("nats url: %w", secret.Err(err))
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(2*time.Second))
	if err == nil {
		err = errors.Join(b.acks.listen(nc), b.saves.listen(nc))
	}
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("jetstream: %w", err)
	}
	b.nc, b.js = nc, js
	return b, nil
}

// Close sends what is under way, at most until ctx is done, and closes the
// connection. ctx must have a deadline. Who draws events over it ends that before: see
// package intake.
func (b *Bus) Close(ctx context.Context) {
	b.acks.drain(ctx)
	_ = b.nc.FlushWithContext(ctx) // acknowledgements leave; an error means they come again
	b.nc.Close()
}

// Ping returns nil when JetStream answers and has the stream of changes.
func (b *Bus) Ping(ctx context.Context) error {
	if !b.nc.IsConnected() {
		return Unavailable(ErrNotConnected)
	}
	_, err := b.stream(ctx, StreamChanges)
	return named("stream "+StreamChanges, err)
}

// stream looks a stream up as it is now, for those who ask about it. Who makes streams
// looks for them without it: Keep need not be told of one that is about to be made.
func (b *Bus) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	stream, err := b.js.Stream(ctx, name)
	return stream, Unavailable(b.SuspectIfGone(err))
}

// Conn is the connection itself, for those who listen to subjects.
func (b *Bus) Conn() *nats.Conn { return b.nc }

// JetStream is the way to streams and consumers, for those who draw from them.
func (b *Bus) JetStream() jetstream.JetStream { return b.js }

// Unavailable is an error of the client or the server as callers get it: an
// *events.UnavailableError. nil stays nil.
func Unavailable(err error) error {
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded): // of a buffer that is off: see Connect
		err = ErrNotConnected
	case errors.Is(err, jetstream.ErrStreamNotFound):
		err = fmt.Errorf("%w; gateways and savers create it when they start", err)
	}
	return events.Unavailable(events.NATS, err)
}

// ErrNotConnected is the reason while there is no connection.
var ErrNotConnected = errors.New("not connected")
