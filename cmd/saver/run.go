package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/savers"
)

// admin is for those who answer at the admin address, and who ask there.
type admin struct {
	AdminAddr string `name:"admin-addr" env:"ADMIN_ADDR" default:"127.0.0.1:9091" help:"Health, metrics, profiles."`
}

type runCmd struct {
	program.Streams
	admin

	Batch       int           `name:"batch" env:"SAVER_BATCH" default:"10000" help:"How many events of a scope one transaction saves, at most; half as many are fetched at a time."`
	Lanes       int           `name:"lanes" env:"SAVER_LANES" default:"2" help:"Over how many transactions, under way at the same time, the characters of a scope are split."`
	GiveWay     bool          `name:"give-way" env:"SAVER_GIVE_WAY" default:"true" negatable:"" help:"Let other processes of the machine have its processors first, and drain a backlog no faster than players can bear."`
	CatchUp     bool          `name:"catch-up" env:"SAVER_CATCH_UP" default:"true" negatable:"" help:"Take a backlog without acknowledging each event, together with other savers."`
	Grace       time.Duration `name:"cleanup-grace" env:"CLEANUP_GRACE" default:"15s" help:"How long a change may be unsaved before cleanup asks about it."`
	SessionIdle time.Duration `name:"session-idle" env:"SESSION_IDLE" default:"15m" help:"How long a character may be silent before its sessions end as abandoned."`
	EvictIdle   time.Duration `name:"evict-idle" env:"EVICT_IDLE" default:"1h" help:"How long a saved character may be silent before Redis forgets it."`
}

// Run wires one saver and saves until ctx is done:
//
//	for each scope  bus.Source ─ savers.Worker ─┬─ Saver ─ PostgreSQL
//	                                            ├─ bus.Bus (dead letters)
//	                                            └─ hot.Store (marks)
//	cleanup         the same worker; its saver asks hot, cold and bus, and
//	                orders saves of a gateway.Service
func (r *runCmd) Run(ctx context.Context, c *cli, out *output) error {
	log := c.Logger(out.Err)
	program.TuneGC(memoryLimit)
	if r.GiveWay {
		if err := program.GiveWay(); err != nil {
			log.Warn("the saver competes with players for the processors", "err", err)
		}
	}
	conns, err := open(ctx, c, "savepoint-saver", log)
	if err != nil {
		return err
	}
	defer conns.close(ctx)
	checks := []program.Check{
		{Name: "nats", Required: true, Ping: conns.bus.Ping},
		{Name: "postgresql", Required: true, Ping: conns.cold.Ping},
		{Name: "redis", Ping: conns.hot.Ping},
	}
	reg := program.NewMetrics()
	metrics := savers.NewMetrics(reg)
	registry := stateSavers()
	registry.Register(r.cleanup(conns, metrics, log))
	reg.MustRegister(newLagCollector(conns, registry.Scopes()))

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return program.Serve(ctx, r.AdminAddr, program.Admin(reg, checks)) })
	group.Go(func() error {
		if err := r.prepare(ctx, c, conns, log); err != nil {
			return program.UnlessDone(ctx, err)
		}
		group.Go(func() error {
			conns.bus.Keep(ctx, r.Topology())
			return nil
		})
		return r.work(ctx, conns, registry, metrics, log)
	})
	log.Info("saver is up", "admin", r.AdminAddr, "scopes", registry.Scopes())
	return group.Wait()
}

// memoryLimit keeps a saver below 100 MB with the program's own code and stacks.
// What its workers hold at their default settings is half of it at most.
const memoryLimit = 72 << 20

// stateSavers are the savers of the scopes that have state. One of your own is
// registered here.
func stateSavers() *savers.Registry {
	return savers.NewRegistry(
		savers.CombatStateSaver{}, savers.InventoryStateSaver{},
		savers.VitalsStateSaver{}, savers.ScenarioStateSaver{},
	)
}

func (r *runCmd) cleanup(conns *connections, metrics *savers.Metrics, log *slog.Logger) *savers.CleanupStateSaver {
	service := conns.service(events.CauseCleanup, log)
	return &savers.CleanupStateSaver{
		Hot: conns.hot, Cold: conns.cold, Stream: conns.bus, Game: service, Log: log, Metrics: metrics,
		Grace: r.Grace, SessionIdle: r.SessionIdle, EvictIdle: r.EvictIdle,
		Budget: min(r.CleanupEvery*4/5, maxSweep),
	}
}

// maxSweep keeps a sweep shorter than what a worker grants to what follows a
// commit, however seldom the tick comes.
const maxSweep = 25 * time.Second

// prepare waits until there are streams to read and tables to write.
func (r *runCmd) prepare(ctx context.Context, c *cli, conns *connections, log *slog.Logger) error {
	err := program.Retry(ctx, log, "the streams", bus.ErrUnsafe, func(ctx context.Context) error {
		return conns.bus.Ensure(ctx, r.Topology())
	})
	if err != nil {
		return err
	}
	return program.Retry(ctx, log, "the schema", nil, func(ctx context.Context) error {
		return checkSchema(ctx, c.DatabaseURL, schemaTimeout)
	})
}

// schemaTimeout is how long one look at the schema may take: a server that hangs may be
// another one the next time.
const schemaTimeout = 15 * time.Second

func checkSchema(ctx context.Context, url string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	have, want, err := migrate.Versions(ctx, url)
	if err == nil && have < want {
		err = errors.New("the database lacks migrations; run `saver migrate`")
	}
	return err
}

// work runs one worker a scope until ctx is done and their batches are settled. Where one
// cannot begin, none goes on: a saver without a scope would look well.
func (r *runCmd) work(ctx context.Context, conns *connections, registry *savers.Registry, metrics *savers.Metrics, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	err := program.UnlessDone(ctx, r.begin(ctx, group, conns, registry, metrics, log))
	if err != nil {
		stop()
	}
	return errors.Join(err, group.Wait())
}

// begin has group run the workers.
func (r *runCmd) begin(ctx context.Context, group *errgroup.Group, conns *connections, registry *savers.Registry, metrics *savers.Metrics, log *slog.Logger) error {
	var pace *savers.Pace
	if r.GiveWay {
		pace = &savers.Pace{Published: conns.bus.LastSequence}
	}
	for _, scope := range registry.Scopes() {
		saver, err := registry.Saver(scope)
		if err != nil {
			return err
		}
		source, err := r.awaitSource(ctx, conns, scope, log)
		if err != nil {
			return err
		}
		source.AckEach = !r.CatchUp
		worker := &savers.Worker{
			Saver: saver, Source: source, DB: conns.pool, Dead: conns.bus, Marks: conns.hot,
			Log: log, Metrics: metrics, BatchSize: r.Batch, Lanes: r.Lanes, AckWait: r.AckWait, Pace: pace,
		}
		group.Go(func() error { return worker.Run(ctx) })
	}
	return nil
}

// awaitSource finds the consumer of a scope as soon as NATS answers: NATS may
// have gone since prepare, or come back empty.
func (r *runCmd) awaitSource(ctx context.Context, conns *connections, scope events.Scope, log *slog.Logger) (source *bus.Source, err error) {
	err = program.Retry(ctx, log, "the consumers", bus.ErrUnsafe, func(ctx context.Context) error {
		if source, err = conns.bus.Source(ctx, scope); err == nil {
			return nil
		}
		if err = conns.bus.Ensure(ctx, r.Topology()); err != nil {
			return err
		}
		source, err = conns.bus.Source(ctx, scope)
		return err
	})
	return source, err
}
