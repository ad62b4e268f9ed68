package chaos

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/savepoint-games/savepoint/internal/stack"
)

// A fault breaks something and mends it again before it returns.
type fault func(ctx context.Context, r *rig, random *rand.Rand) error

// faults are what a run can choose from, by name.
var faults = map[string]fault{
	"saver-kill":      func(ctx context.Context, r *rig, x *rand.Rand) error { return killed(ctx, any1(x, r.savers), x) },
	"gateway-kill":    func(ctx context.Context, r *rig, x *rand.Rand) error { return killed(ctx, any1(x, r.gateways), x) },
	"saver-pause":     func(ctx context.Context, r *rig, x *rand.Rand) error { return paused(ctx, any1(x, r.savers), x) },
	"gateway-pause":   func(ctx context.Context, r *rig, x *rand.Rand) error { return paused(ctx, any1(x, r.gateways), x) },
	"postgres-stop":   postgresAway((*stack.Postgres).Stop),
	"postgres-kill":   postgresAway(func(p *stack.Postgres, _ context.Context) error { return p.Kill() }),
	"postgres-backup": postgresBackup,
	"postgres-empty":  postgresEmpty,
	"postgres-lock":   postgresLock,
	"postgres-minute": postgresMinute,
	"nats-full":       natsFull,
	"nats-disk":       natsDisk,
	"postgres-disk":   postgresDisk,
	"nats-restart":    natsRestart,
	"nats-kill":       natsKill,
	"nats-pause":      func(ctx context.Context, r *rig, x *rand.Rand) error { return paused(ctx, r.nats.any1(x), x) },
	"nats-empty":      natsEmpty,
	"nats-split":      natsSplit,
	"redis-restart":   redisRestart,
	"redis-empty":     redisEmptied,
	"redis-older":     redisOlder,
	"redis-failover":  redisFailover,
	"redis-failback":  redisFailback,
	"stream-replay":   streamReplay,
	"poison":          poison,
	"gateway-clock":   clockJump,
	"gateway-build":   rolled(func(r *rig) []*part { return r.gateways }),
	"saver-build":     rolled(func(r *rig) []*part { return r.savers }),
	// Bad networks between one kind of program and one server.
	"net-slow":   netFault("slow", (*Proxy).slowFar, shortly),
	"net-hang":   netFault("hang", (*Proxy).Hang, atLength),
	"net-cut":    netFault("cut", (*Proxy).Cut, shortly),
	"net-tear":   netFault("tear", (*Proxy).Tear, shortly),
	"net-oneway": netFault("oneway", (*Proxy).OneWay, atLength),
}

// Faults lists the names of the faults.
func Faults() []string { return slices.Sorted(maps.Keys(faults)) }

// losesHot names the faults that take what was answered "hot" and nothing more.
// The model allows for it.
var losesHot = []string{"redis-empty", "redis-older", "redis-failover", "redis-failback"}

// takesLong names the faults that a short run has no time for.
var takesLong = []string{"postgres-minute"}

// needsCluster names the faults of which a single NATS server knows nothing.
var needsCluster = []string{"nats-split"}

// LongFaults lists the faults that take a minute each.
func LongFaults() []string { return slices.Clone(takesLong) }

// DefaultFaults lists the faults that may be mixed at will, on so many NATS servers: all
// but those that take a minute.
func DefaultFaults(servers int) []string {
	return slices.DeleteFunc(Faults(), func(name string) bool {
		return slices.Contains(takesLong, name) || servers == 1 && slices.Contains(needsCluster, name)
	})
}

func any1[T any](x *rand.Rand, list []T) T { return list[x.IntN(len(list))] }

// away is how long something stays away: 0.2 to 2 s.
func away(ctx context.Context, x *rand.Rand) {
	pause(ctx, 200*time.Millisecond+time.Duration(x.IntN(1800))*time.Millisecond)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func killed(ctx context.Context, p *part, x *rand.Rand) error {
	if err := p.kill(); err != nil {
		return err
	}
	away(ctx, x)
	return p.start(context.WithoutCancel(ctx))
}

// paused stops a program for longer than the ack wait, so that what it holds is
// given to others before it goes on.
func paused(ctx context.Context, p interface{ signal(syscall.Signal) error }, x *rand.Rand) error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	pause(ctx, time.Second+time.Duration(x.IntN(3000))*time.Millisecond)
	return p.signal(syscall.SIGCONT)
}

func postgresAway(stop func(*stack.Postgres, context.Context) error) fault {
	return func(ctx context.Context, r *rig, x *rand.Rand) error {
		mending := context.WithoutCancel(ctx)
		if err := stop(r.postgres, mending); err != nil {
			return fmt.Errorf("stop: %w", err)
		}
		away(ctx, x)
		server, err := stack.StartPostgres(mending, r.postgres.Config())
		if err == nil {
			r.postgres = server
			err = r.network.follow("DATABASE_URL=" + server.URL())
		}
		return err
	}
}
