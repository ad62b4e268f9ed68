package chaos

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/cold"
)

// Config says what to break and for how long.
type Config struct {
	Bin string // directory of the programs gateway, saver and savepoint
	// OldBin is a directory with a saver of an older build, or a gateway, or both:
	// they run beside the others. "" for none.
	OldBin   string
	Seed     uint64        // of the clients and of the schedule
	Duration time.Duration // of the play; mending and checking come after it
	// Faults are the names of those that may happen. Defaults to DefaultFaults.
	Faults []string
	// Pause is the time between two faults. Defaults to 500 ms.
	Pause time.Duration
	// Parallel is how many faults may be on at once; those of one part never
	// are. Defaults to 1.
	Parallel   int
	Gateways   int       // defaults to 2
	Savers     int       // defaults to 2
	NATS       int       // servers, a cluster of 3 or more; defaults to 1
	Clients    int       // defaults to 8
	Characters int       // a client; defaults to 5
	Out        io.Writer // progress; defaults to nowhere
	// Players play scopes of your own beside the built-in actions.
	Players []Player
	// Settle bounds how long the mended system may take to save everything.
	// Defaults to 60 s.
	Settle time.Duration
	// NoTrades leaves out trades between characters, for old builds that do not
	// know them.
	NoTrades bool
	// NoCalm leaves out the calm part at the begin: for short runs that have
	// no use for speeds.
	NoCalm bool
	// Skew lets gateways have wrong clocks even where Redis loses its memory.
	Skew bool
	// LoseKeys lets Redis lose its memory while an action has no answer yet:
	// its idempotency key may then be lost with it.
	LoseKeys bool
}

func (c Config) withDefaults() Config {
	def := func(n *int, d int) {
		if *n < 1 {
			*n = d
		}
	}
	def(&c.Parallel, 1)
	def(&c.Gateways, 2)
	def(&c.Savers, 2)
	def(&c.NATS, 1)
	def(&c.Clients, 8)
	def(&c.Characters, 5)
	if len(c.Faults) == 0 {
		c.Faults = slices.DeleteFunc(DefaultFaults(c.NATS), c.lacksBuild)
	}
	if c.Pause <= 0 {
		c.Pause = 500 * time.Millisecond
	}
	if c.Settle <= 0 {
		c.Settle = time.Minute
	}
	if c.Out == nil {
		c.Out = io.Discard
	}
	return c
}

// Result is what a run found.
type Result struct {
	Seed       uint64
	Faults     map[string]int // how often each happened
	Actions    string         // what the clients saw
	Characters int
	Speeds     []Speed     // of the gateways, by fault; calm first
	Violations []Violation // the oldest broken promise first
	Log        string      // the programs' log, of a run that found something; else ""
	Repeat     string      // the command that repeats the run
}

func (r *Result) String() string {
	verdict := "nothing lost, nothing doubled, nothing older"
	if n := len(r.Violations); n > 0 {
		verdict = fmt.Sprintf("%d VIOLATIONS, the first: %s", n, r.Violations[0])
	}
	return fmt.Sprintf("seed %d, faults %v, %d characters, actions: %s: %s", r.Seed, r.Faults, r.Characters, r.Actions, verdict)
}

// Report says everything that the run found, in some lines.
func (r *Result) Report() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nhow gateways answered, faults as ratios to calm:\n%s", r, speedTable(r.Speeds))
	for _, v := range r.Violations {
		if v.Story != "" {
			fmt.Fprintf(&b, "\n%s\n%s", v, v.Story)
		}
	}
	if len(r.Violations) > 0 {
		fmt.Fprintf(&b, "\nall violations, the oldest broken promise first:\n")
		for _, v := range r.Violations {
			fmt.Fprintf(&b, "  %s\n", v)
		}
		fmt.Fprintf(&b, "\nthe programs' log: %s\nagain: %s\n", r.Log, r.Repeat)
	}
	return b.String()
}

// run is one run in progress.
type run struct {
	cfg     Config
	rig     *rig
	began   time.Time
	faults  timeline
	speed   *speedometer
	pool    *pgxpool.Pool
	servers Servers
	counts  counts
	mu      sync.Mutex // guards result
	result  Result
	clients []*client
	models  []*model
	busy    exclusion
	ledger  ledger
	market  market
	looks   atomic.Int64 // of the watcher
}

// Run starts a system, plays against it while parts of it break, mends it, and
// compares hot and cold with what was acknowledged. The error means that the
// run itself did not work; what it found is in the result.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg = cfg.withDefaults()
	for _, name := range cfg.Faults {
		if faults[name] == nil {
			return nil, fmt.Errorf("no fault %q; there are %v", name, Faults())
		}
		if cfg.NATS == 1 && slices.Contains(needsCluster, name) {
			return nil, fmt.Errorf("fault %s takes a cluster of NATS servers: NATS=3", name)
		}
		if cfg.lacksBuild(name) {
			return nil, fmt.Errorf("fault %s takes an older build: OLD_BIN", name)
		}
	}
	// PostgreSQL's own user must be able to enter.
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "programs.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	r := &run{cfg: cfg, began: time.Now(), result: Result{Seed: cfg.Seed, Faults: map[string]int{}, Repeat: cfg.repeat()}}
	r.speed = newSpeedometer(&r.faults)
	if r.rig, err = startRig(ctx, dir, cfg, log); err != nil {
		return nil, err
	}
	err = r.rig.addOld(ctx, cfg)
	if err == nil {
		err = r.playAndCheck(ctx)
	}
	if closing := r.rig.close(); err == nil {
		err = closing
	}
	if err != nil || len(r.result.Violations) > 0 {
		r.result.Log = keepLog(log.Name(), cfg.Seed)
	}
	if err != nil {
		err = fmt.Errorf("%w (the programs' log: %s)", err, r.result.Log)
	}
	r.result.Actions, r.result.Characters, r.result.Speeds = r.counts.String(), len(r.models), r.speed.list()
	return &r.result, err
}

// repeat is the command for the same run.
func (c Config) repeat() string {
	command := fmt.Sprintf("make chaos SEED=%d CHAOS_FOR=%s CLIENTS=%d PARALLEL=%d SAVERS=%d FAULTS=%s",
		c.Seed, c.Duration, c.Clients, c.Parallel, c.Savers, strings.Join(c.Faults, ","))
	if c.NATS > 1 {
		command += fmt.Sprint(" NATS=", c.NATS)
	}
	if c.LoseKeys {
		command += " LOSE_KEYS=true"
	}
	if c.Skew {
		command += " SKEW=true"
	}
	if c.OldBin != "" {
		command += " OLD_BIN=" + c.OldBin
	}
	if c.NoTrades {
		command += " NO_TRADES=true"
	}
	return command
}

// keepLog moves the programs' log where it outlives the run.
func keepLog(path string, seed uint64) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	kept, err := os.CreateTemp("", fmt.Sprintf("chaos-seed-%d-*.log", seed))
	if err != nil {
		return err.Error()
	}
	defer func() { _ = kept.Close() }()
	if _, err := kept.Write(text); err != nil {
		return err.Error()
	}
	return kept.Name()
}

func (r *run) report(v Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Violations = append(r.result.Violations, v)
}

func (r *run) playAndCheck(ctx context.Context) (err error) {
	// Where the servers are does not change while they come and go.
	r.servers = Servers{NATSURL: r.rig.nats.URL(), RedisURL: r.rig.redis.URL(), DatabaseURL: r.rig.postgres.URL()}
	for _, g := range r.rig.gateways {
		r.servers.Gateways = append(r.servers.Gateways, g.addr)
	}
	if r.pool, err = cold.OpenPool(ctx, r.servers.DatabaseURL, 4); err != nil {
		return err
	}
	defer r.pool.Close()
	for n := range r.cfg.Clients {
		r.clients = append(r.clients, r.client(n))
	}
	if err := r.openMarket(); err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { r.watch(watching) })
	defer watcher.Wait()
	defer stop()
	if err := r.play(ctx); err != nil {
		return err
	}
	if err := r.check(ctx); err != nil {
		return err
	}
	return r.rig.alive()
}

// play lets the clients act and the faults happen side by side.
func (r *run) play(ctx context.Context) error {
	playing, stop := context.WithTimeout(ctx, r.cfg.Duration)
	defer stop()
	var group errgroup.Group
	for _, c := range r.clients {
		group.Go(func() error { return c.play(playing) })
	}
	for n := range r.cfg.Parallel {
		group.Go(func() error {
			r.stayCalm(playing)
			return r.breakThings(playing, n)
		})
	}
	return group.Wait()
}

// The play begins in calm, so that there is something to compare faults with:
// a warm-up that no speed is noted of (connections open, statements are
// prepared), and then a share of the time that is left.
const (
	warmUpMost  = 3 * time.Second
	warmUpShare = 0.1
	calmShare   = 0.15
)

func (c Config) warmUp() time.Duration {
	return min(warmUpMost, time.Duration(warmUpShare*float64(c.Duration)))
}

func (r *run) stayCalm(ctx context.Context) {
	if r.cfg.NoCalm {
		return
	}
	warm := r.cfg.warmUp()
	pause(ctx, warm)
	r.speed.begin()
	pause(ctx, time.Duration(calmShare*float64(r.cfg.Duration-warm)))
}

func (r *run) client(n int) *client {
	c := &client{
		Caller: &Caller{
			Random: rand.New(rand.NewPCG(r.cfg.Seed, uint64(n)+1)), gateways: r.servers.Gateways,
			http:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}},
			counts: &r.counts, speed: r.speed,
		},
		faults: &r.faults, pool: r.pool, players: r.cfg.Players, ledger: &r.ledger, market: &r.market, report: r.report, noTrades: r.cfg.NoTrades, asksCold: n%coldAskers == 0,
		echo: !slices.ContainsFunc(r.cfg.Faults, func(name string) bool { return slices.Contains(losesHot, name) }),
	}
	for i := range r.cfg.Characters {
		m := newModel(int64(1+n*r.cfg.Characters+i), &r.faults, r.report)
		c.models = append(c.models, m)
		r.models = append(r.models, m)
	}
	return c
}

// breakThings lets one fault after another happen. n tells the schedules apart
// that run side by side.
func (r *run) breakThings(ctx context.Context, n int) error {
	random := rand.New(rand.NewPCG(r.cfg.Seed, uint64(n)<<32))
	for {
		pause(ctx, r.cfg.Pause)
		if ctx.Err() != nil {
			return nil
		}
		name := any1(random, r.cfg.Faults)
		release, ok := r.busy.take(name)
		if !ok {
			continue // the part is broken already
		}
		err := r.happen(ctx, name, random)
		release()
		if err != nil {
			return err
		}
	}
}

func (r *run) happen(ctx context.Context, name string, random *rand.Rand) error {
	if !r.awaitKeys(ctx, name) {
		return nil
	}
	end := r.faults.begin(name)
	began := time.Now()
	err := faults[name](ctx, r.rig, random)
	end()
	if err != nil {
		return fmt.Errorf("fault %s: %w", name, err)
	}
	r.mu.Lock()
	r.result.Faults[name]++
	r.mu.Unlock()
	fmt.Fprintf(r.cfg.Out, "%6.1fs  %s for %.1fs; %s\n", began.Sub(r.began).Seconds(), name, time.Since(began).Seconds(), &r.counts)
	return nil
}

// awaitKeys waits until a fault may happen without taking the idempotency key
// of an action that has no answer: keys live in Redis. A Redis that loses its
// memory waits until nobody repeats; what takes answers waits until the actions
// from before the last loss are answered. The two never happen at once
// (exclusion). It reports whether ctx has not ended before.
func (r *run) awaitKeys(ctx context.Context, name string) bool {
	for !r.cfg.LoseKeys && ctx.Err() == nil && r.endangersKeys(name) {
		pause(ctx, 5*time.Millisecond)
	}
	return ctx.Err() == nil
}

func (r *run) endangersKeys(name string) bool {
	loses, takes := slices.Contains(losesHot, name), takesAnswers(name)
	lost := r.faults.lastLoss().UnixNano()
	return slices.ContainsFunc(r.clients, func(c *client) bool {
		began := c.began.Load()
		return loses && c.unsure.Load() || takes && began != 0 && began <= lost
	})
}

// takesAnswers reports whether a fault may keep a client from getting the
// answer of an action that was carried out.
func takesAnswers(name string) bool {
	return strings.HasPrefix(name, "gateway-") || strings.HasPrefix(name, "net-")
}

// losesCold reports whether a fault takes from PostgreSQL what it had committed.
func losesCold(name string) bool {
	return name == "postgres-backup" || name == "postgres-empty"
}

// exclusion keeps faults of one part from happening at once. The part is the
// first word of a fault's name.
type exclusion struct {
	mu   sync.Mutex
	busy map[string]bool
}

func (x *exclusion) take(name string) (release func(), ok bool) {
	part, _, _ := strings.Cut(name, "-")
	taken := append(besides(name), part)
	if takesAnswers(name) || slices.Contains(losesHot, name) {
		taken = append(taken, "keys")
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, t := range taken {
		if x.busy[t] {
			return nil, false
		}
	}
	if x.busy == nil {
		x.busy = make(map[string]bool)
	}
	set := func(on bool) {
		for _, t := range taken {
			if on {
				x.busy[t] = true
			} else {
				delete(x.busy, t)
			}
		}
	}
	set(true)
	return func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		set(false)
	}, true
}
