// Package chaos plays against a whole system while parts of it are killed, and
// checks what is left against what was acknowledged. The parts are the real
// servers and the real programs.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/savepoint-games/savepoint/internal/migrate"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/internal/stack"
)

// rig is a system: private servers, gateways and savers, each of which can be
// killed, stopped and started again.
type rig struct {
	bin      string // directory of the programs
	oldBin   string // the same of an older build, or ""
	log      io.Writer
	postgres *stack.Postgres
	redis    *stack.Redis
	nats     natsServers
	routes   routes   // between the servers of NATS
	network  *network // between the programs and the servers
	gateways []*part
	savers   []*part
	// clocksDiffer lets gateways have wrong clocks.
	clocksDiffer bool
	poisoned     atomic.Int64 // events that faults made bad on purpose: the dead letters to expect
	// streamLost is set when the stream has lost what was saved already: from
	// then on a replay cannot fill an empty database.
	streamLost atomic.Bool
	unsure     atomic.Int64 // of those that were lost with NATS; a saver may have had one in hand
}

// part is one of the product's programs.
type part struct {
	mu   sync.Mutex
	name string
	cfg  stack.ProcessConfig
	addr string // of a gateway
	proc *stack.Process
}

// startRig starts everything below dir and waits until it is ready.
func startRig(ctx context.Context, dir string, cfg Config, log io.Writer) (_ *rig, err error) {
	r := &rig{bin: cfg.Bin, log: log, clocksDiffer: cfg.clocksDiffer()}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.postgres, err = stack.StartPostgres(ctx, stack.PostgresConfig{Dir: filepath.Join(dir, "postgres")}); err != nil {
		return r, err
	}
	if r.redis, err = stack.StartRedis(ctx, stack.RedisConfig{Dir: filepath.Join(dir, "redis")}); err != nil {
		return r, err
	}
	if r.nats, r.routes, err = startNATS(ctx, cfg.Bin, filepath.Join(dir, "nats"), cfg.NATS, log); err != nil {
		return r, err
	}
	if _, err = migrate.Up(ctx, r.postgres.URL()); err != nil {
		return r, err
	}
	if r.network, err = startNetwork(r.urls()); err != nil {
		return r, err
	}
	addrs, err := stack.FreeAddrs(2*cfg.Gateways + cfg.Savers)
	if err != nil {
		return r, err
	}
	for i := range cfg.Gateways {
		addr, admin := addrs[2*i], addrs[2*i+1]
		r.gateways = append(r.gateways, r.program("gateway", nil, addr, "GATEWAY_ADDR="+addr, "ADMIN_ADDR="+admin, r.clockOf(cfg.Seed, i)))
	}
	for i, admin := range addrs[2*cfg.Gateways:] {
		env := []string{"ADMIN_ADDR=" + admin}
		if i < len(smallBatches) {
			env = append(env, "SAVER_BATCH="+smallBatches[i])
		}
		r.savers = append(r.savers, r.program("saver", []string{"run"}, "", env...))
	}
	for _, p := range append(append([]*part{}, r.gateways...), r.savers...) {
		if err = p.start(ctx); err != nil {
			return r, err
		}
	}
	if err = r.awaitGateways(ctx); err != nil {
		return r, err
	}
	return r, r.nats.awaitReplicas(ctx)
}

// program prepares one of the product's programs. The sweeper is quick, so that
// a run need not last for minutes.
func (r *rig) program(name string, args []string, addr string, env ...string) *part {
	env = append(env, r.network.through(name, r.urls())...)
	env = append(env, "CLEANUP_EVERY=1s", "CLEANUP_GRACE=3s", "ACK_WAIT=2s", "LOG_LEVEL=WARN",
		// On a busy machine an ack may take longer than 50 ms; what is answered
		// "hot" is not promised to outlive Redis.
		"PUBLISH_TIMEOUT=1s", fmt.Sprint("NATS_REPLICAS=", len(r.nats)))
	return &part{name: name, addr: addr, cfg: stack.ProcessConfig{
		Name: name, Path: filepath.Join(r.bin, name), Args: args,
		Env: append(os.Environ(), env...), Stdout: r.log, Stderr: r.log,
	}}
}

// smallBatches are those of the first savers: to these, a backlog of some dozen or some
// hundred events is one that they take together, without an ack of each.
var smallBatches = []string{"10", "100"}

func (r *rig) urls() []string {
	return []string{"NATS_URL=" + r.nats.URL(), "REDIS_URL=" + r.redis.URL(), "DATABASE_URL=" + r.postgres.URL()}
}

func (p *part) start(ctx context.Context) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proc, err = stack.StartProcess(ctx, p.cfg)
	return err
}

// kill ends the program as a crash would.
func (p *part) kill() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.ended(); err != nil {
		return err
	}
	return p.proc.Kill()
}

// ended is an error where the program has ended by itself: whatever is broken
// around it, it waits.
func (p *part) ended() error {
	select {
	case <-p.proc.Done():
		return fmt.Errorf("a %s ended by itself: %v", p.name, p.proc.Err())
	default:
		return nil
	}
}

// alive is an error where one of the programs has ended by itself.
func (r *rig) alive() error {
	for _, p := range append(append([]*part{}, r.gateways...), r.savers...) {
		p.mu.Lock()
		err := p.ended()
		p.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *part) signal(s syscall.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.proc.Signal(s)
}

func (p *part) stop(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.proc == nil {
		return nil
	}
	return p.proc.Stop(ctx)
}

func (r *rig) awaitGateways(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, g := range r.gateways {
		if err := program.AwaitReady(ctx, g.addr); err != nil {
			return fmt.Errorf("gateway %s: %w", g.addr, err)
		}
	}
	return nil
}

const startTimeout = time.Minute

const stopTimeout = 30 * time.Second

// close ends everything, programs first.
func (r *rig) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	var errs []error
	for _, p := range append(append([]*part{}, r.gateways...), r.savers...) {
		errs = append(errs, p.stop(ctx))
	}
	if r.network != nil {
		errs = append(errs, r.network.close())
	}
	if r.redis != nil {
		errs = append(errs, r.redis.Stop(ctx))
	}
	errs = append(errs, r.nats.each((*natsServer).stop)(ctx), r.routes.close())
	if r.postgres != nil {
		errs = append(errs, r.postgres.Stop(ctx))
	}
	return errors.Join(errs...)
}
