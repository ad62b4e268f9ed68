package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/internal/telemetry"
	"github.com/savepoint-games/savepoint/savers"
)

// admin is for those who answer at the admin address, and who ask there.
type admin struct {
	AdminAddr string `name:"admin-addr" env:"ADMIN_ADDR" default:"127.0.0.1:9091" help:"Health, metrics, profiles."`
}

type runCmd struct {
	program.Streams
	program.Tracing
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
//	for each scope  intake.Source ─ savers.Worker ─┬─ Saver ─ PostgreSQL
//	                                               ├─ bus.Bus (dead letters)
//	                                               └─ hot.Store (marks)
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
	traces, err := telemetry.Start(ctx, "savepoint-saver", r.Collector, log)
	if err != nil {
		return err
	}
	defer traces.Close(ctx)
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
	s := &saver{runCmd: r, conns: conns, registry: stateSavers(), metrics: savers.NewMetrics(reg), traces: traces, log: log}
	s.registry.Register(s.cleanup())
	reg.MustRegister(newLagCollector(conns, s.registry.Scopes()))

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return program.Serve(ctx, r.AdminAddr, program.Admin(reg, checks)) })
	group.Go(func() error {
		if err := s.prepare(ctx, c.DatabaseURL); err != nil {
			return program.UnlessDone(ctx, err)
		}
		group.Go(func() error {
			conns.bus.Keep(ctx, r.Topology())
			return nil
		})
		return s.work(ctx)
	})
	log.Info("saver is up", "admin", r.AdminAddr, "scopes", s.registry.Scopes())
	return group.Wait()
}

// saver is what its parts are wired from.
type saver struct {
	*runCmd
	conns    *connections
	registry *savers.Registry
	metrics  *savers.Metrics
	traces   *telemetry.Traces
	log      *slog.Logger
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

func (s *saver) cleanup() *savers.CleanupStateSaver {
	service := s.conns.service(events.CauseCleanup, s.log)
	return &savers.CleanupStateSaver{
		Hot: s.conns.hot, Cold: s.conns.cold, Stream: s.conns.bus, Game: service, Log: s.log, Metrics: s.metrics,
		Grace: s.Grace, SessionIdle: s.SessionIdle, EvictIdle: s.EvictIdle,
		Budget: min(s.CleanupEvery*4/5, maxSweep),
	}
}

// maxSweep keeps a sweep shorter than what a worker grants to what follows a
// commit, however seldom the tick comes.
const maxSweep = 25 * time.Second

// prepare waits until there are streams to read and tables to write.
func (s *saver) prepare(ctx context.Context, databaseURL string) error {
	err := program.Retry(ctx, s.log, "the streams", bus.ErrUnsafe, func(ctx context.Context) error {
		return s.conns.bus.Ensure(ctx, s.Topology())
	})
	if err != nil {
		return err
	}
	return program.Retry(ctx, s.log, "the schema", nil, func(ctx context.Context) error {
		return checkSchema(ctx, databaseURL, schemaTimeout)
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
func (s *saver) work(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	err := program.UnlessDone(ctx, s.startWorkers(ctx, group))
	if err != nil {
		stop()
	}
	return errors.Join(err, group.Wait())
}

// startWorkers has group run the workers.
func (s *saver) startWorkers(ctx context.Context, group *errgroup.Group) error {
	var pace *savers.Pace
	if s.GiveWay {
		pace = &savers.Pace{Published: s.conns.bus.LastSequence}
	}
	for _, scope := range s.registry.Scopes() {
		saver, err := s.registry.Saver(scope)
		if err != nil {
			return err
		}
		source, err := s.awaitSource(ctx, scope)
		if err != nil {
			return err
		}
		source.AckEach = !s.CatchUp
		worker := &savers.Worker{
			Saver: saver, Source: s.traces.Source(source, scope), DB: s.conns.pool, Dead: s.conns.bus, Marks: s.conns.hot,
			Log: s.log, Metrics: s.metrics, BatchSize: s.Batch, Lanes: s.Lanes, AckWait: s.AckWait, Pace: pace,
		}
		group.Go(func() error { return worker.Run(ctx) })
	}
	return nil
}

// awaitSource finds the consumer of a scope as soon as NATS answers: NATS may
// have gone since prepare, or come back empty.
func (s *saver) awaitSource(ctx context.Context, scope events.Scope) (source *intake.Source, err error) {
	err = program.Retry(ctx, s.log, "the consumers", bus.ErrUnsafe, func(ctx context.Context) error {
		if source, err = s.conns.intake.Source(ctx, scope); err == nil {
			return nil
		}
		if err = s.conns.bus.Ensure(ctx, s.Topology()); err != nil {
			return err
		}
		source, err = s.conns.intake.Source(ctx, scope)
		return err
	})
	return source, err
}
