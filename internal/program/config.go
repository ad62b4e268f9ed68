// Package program is what the commands share: their configuration, their log,
// their signals, and the page that tells how they are. Flags and environment
// end here; nothing below a command reads either.
package program

import (
	"io"
	"log/slog"
	"time"

	"github.com/savepoint-games/savepoint/bus"
)

// Connections names the servers.
type Connections struct {
	NATSURL     string `name:"nats-url" env:"NATS_URL" default:"nats://127.0.0.1:4222" help:"NATS servers, a comma list."`
	RedisURL    string `name:"redis-url" env:"REDIS_URL" default:"redis://127.0.0.1:6379/0" help:"Redis. A comma list, or rediss+cluster://, means Redis Cluster."`
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" default:"postgres://127.0.0.1:5432/savepoint" help:"PostgreSQL."`
}

// Tracing says who is told of traces.
type Tracing struct {
	Collector string `name:"otlp-endpoint" env:"OTEL_EXPORTER_OTLP_ENDPOINT" help:"Collector of OpenTelemetry traces, OTLP over HTTP, as http://127.0.0.1:4318. Without one there are no traces."`
}

// Logging says how to log.
type Logging struct {
	Level  slog.Level `name:"log-level" env:"LOG_LEVEL" default:"INFO" help:"DEBUG, INFO, WARN or ERROR."`
	Format string     `name:"log-format" env:"LOG_FORMAT" enum:"text,json" default:"text" help:"text or json."`
}

// Logger makes the program's log.
func (l Logging) Logger(w io.Writer) *slog.Logger {
	opts := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

// Streams is what a deployment decides about the streams.
type Streams struct {
	Replicas     int           `name:"nats-replicas" env:"NATS_REPLICAS" default:"1" help:"Copies of each stream; 3 on a cluster."`
	MaxAge       time.Duration `name:"sync-max-age" env:"SYNC_MAX_AGE" default:"168h" help:"How long events are kept for replays."`
	MaxBytes     int64         `name:"sync-max-bytes" env:"SYNC_MAX_BYTES" default:"8589934592" help:"Size of the stream of changes, in bytes. When it is full, answers say hot."`
	AckWait      time.Duration `name:"ack-wait" env:"ACK_WAIT" default:"10s" help:"How soon another saver takes over the events of one that died."`
	CleanupEvery time.Duration `name:"cleanup-every" env:"CLEANUP_EVERY" default:"10s" help:"Time between two sweeps, whole seconds, at least one."`
}

// Topology is the same for the bus.
func (s Streams) Topology() bus.Topology {
	return bus.Topology{
		Replicas: s.Replicas, MaxAge: s.MaxAge, MaxBytes: s.MaxBytes,
		AckWait: s.AckWait, CleanupEvery: s.CleanupEvery,
	}
}

// Publishing is what all who publish for players, and all who join copies, have to agree
// about.
type Publishing struct {
	PublishTimeout time.Duration `name:"publish-timeout" env:"PUBLISH_TIMEOUT" default:"50ms" help:"How long an answer waits for the stream before it says hot. The same for all gateways and savers."`
}
