// The gateway answers actions of players over HTTP.
package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/alecthomas/kong"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/cold"
	"github.com/savepoint-games/savepoint/console"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/internal/telemetry"
)

type cli struct {
	config

	Run         runCmd         `cmd:"" default:"withargs" help:"Answer players until SIGTERM; requests under way finish."`
	Healthcheck healthcheckCmd `cmd:"" help:"Ask the gateway on this machine whether it runs; exit 1 if not."`
}

type config struct {
	program.Connections
	program.Logging
	program.Tracing
	program.Streams
	program.Publishing

	GatewayAddr string        `name:"gateway-addr" env:"GATEWAY_ADDR" default:"127.0.0.1:8080" help:"Where actions are answered."`
	AdminAddr   string        `name:"admin-addr" env:"ADMIN_ADDR" default:"127.0.0.1:9090" help:"Console, health, metrics, profiles."`
	MaxInFlight int           `name:"max-in-flight" env:"MAX_IN_FLIGHT" default:"4096" help:"How many requests are answered at once; more get 503."`
	ClockOffset time.Duration `name:"clock-offset" env:"CLOCK_OFFSET" hidden:"" help:"Makes this gateway's clock wrong by so much, for tests."`
	ColdTimeout time.Duration `name:"cold-timeout" env:"COLD_TIMEOUT" default:"5s" help:"How long durability=cold waits for a saver."`
}

func main() {
	var c cli
	parsed := kong.Parse(&c, kong.Name("gateway"), kong.Description("Answers actions of players; commits them in Redis and publishes what changed."))
	program.Main(func(ctx context.Context) error {
		parsed.BindTo(ctx, (*context.Context)(nil))
		return parsed.Run(&c)
	})
}

type runCmd struct{}

// Run serves until ctx is done.
func (runCmd) Run(ctx context.Context, c *cli) error { return run(ctx, c.config, os.Stderr) }

type healthcheckCmd struct{}

// Run asks the gateway that was started with the same flags.
func (healthcheckCmd) Run(ctx context.Context, c *cli) error {
	return program.Healthcheck(ctx, c.AdminAddr)
}

// run wires the gateway and serves until ctx is done:
//
//	HTTP ─ gateway.Service ─┬─ hot.Store ─ Redis
//	                        ├─ bus.Bus, bus.Mirror ─ NATS
//	                        └─ cold.Store ─ PostgreSQL (reads only)
func run(ctx context.Context, cfg config, stderr io.Writer) error {
	program.TuneGC(0)
	log := cfg.Logger(stderr)
	hot.LogTo(log)
	traces, err := telemetry.Start(ctx, "savepoint-gateway", cfg.Collector, log)
	if err != nil {
		return err
	}
	defer traces.Close(ctx)
	store, err := hot.Open(cfg.RedisURL)
	if err != nil {
		return err
	}
	defer closeQuietly(log, "redis", store)
	stream, err := bus.Connect(cfg.NATSURL, "savepoint-gateway", log)
	if err != nil {
		return err
	}
	defer func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		stream.Close(drain)
	}()
	pool, err := cold.OpenPool(ctx, cfg.DatabaseURL, 8)
	if err != nil {
		return err
	}
	defer pool.Close()
	saved := cold.New(pool)

	reg := program.NewMetrics()
	metrics := gateway.NewMetrics(reg)
	service := gateway.New(traces.Gateway(gateway.Config{
		Hot: store, Stream: stream, Mirror: stream.Mirror(), Cold: saved, Log: log, Metrics: metrics,
		PublishTimeout: cfg.PublishTimeout, ColdTimeout: cfg.ColdTimeout,
		Now: func() time.Time { return time.Now().Add(cfg.ClockOffset) },
	}))
	defer service.Close()
	checks := []program.Check{
		{Name: "redis", Required: true, Ping: store.Ping},
		{Name: "nats", Ping: stream.Ping},
		{Name: "postgresql", Ping: saved.Ping},
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		// The first player of a new Redis need not wait for the fence.
		_, _, _ = store.Beginning(ctx, 1)
		return nil
	})
	group.Go(func() error { return ensureTopology(ctx, log, stream, cfg.Topology()) })
	group.Go(func() error {
		listener, err := program.Listen(cfg.GatewayAddr)
		if err != nil {
			return err
		}
		log.Info("gateway is up", "addr", cfg.GatewayAddr, "admin", cfg.AdminAddr)
		players := metrics.Measured(gateway.Limited(max(1, cfg.MaxInFlight), service.Handler()))
		return gateway.Serve(ctx, listener, log, public(players, checks))
	})
	looks := &console.Console{Hot: store, Cold: saved, Stream: stream, Ask: asking(stream), Log: log}
	for _, check := range checks {
		looks.Checks = append(looks.Checks, console.Check{Name: check.Name, Ping: check.Ping})
	}
	group.Go(func() error { return program.Serve(ctx, cfg.AdminAddr, inside(program.Admin(reg, checks), looks)) })
	return group.Wait()
}

// asking asks JetStream's API.
func asking(stream *bus.Bus) func(context.Context, string) ([]byte, error) {
	return func(ctx context.Context, subject string) ([]byte, error) {
		answer, err := stream.Conn().RequestWithContext(ctx, subject, nil)
		if err != nil {
			return nil, err
		}
		return answer.Data, nil
	}
}

// inside answers whoever runs the gateway: people by the console, machines by admin.
func inside(admin, looks http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", admin)
	mux.Handle("/console", looks)
	mux.Handle("/console/", looks)
	mux.Handle("GET /{$}", http.RedirectHandler("/console", http.StatusSeeOther))
	return mux
}

// public answers players, and load balancers that only see the public address.
func public(players fasthttp.RequestHandler, checks []program.Check) fasthttp.RequestHandler {
	health := fasthttpadaptor.NewFastHTTPHandler(program.Health(checks))
	return func(r *fasthttp.RequestCtx) {
		if path := string(r.Path()); (r.IsGet() || r.IsHead()) && (path == "/healthz" || path == "/readyz") {
			health(r)
			return
		}
		players(r)
	}
}

// ensureTopology makes the streams as soon as NATS is there, and again when they
// are gone, until ctx is done. The gateway answers meanwhile, at durability hot.
func ensureTopology(ctx context.Context, log *slog.Logger, stream *bus.Bus, t bus.Topology) error {
	err := program.Retry(ctx, log, "the streams", bus.ErrUnsafe, func(ctx context.Context) error { return stream.Ensure(ctx, t) })
	if err == nil {
		stream.Keep(ctx, t)
	}
	return program.UnlessDone(ctx, err)
}

func closeQuietly(log *slog.Logger, what string, c io.Closer) {
	if err := c.Close(); err != nil {
		log.Warn("close "+what, "err", err)
	}
}
