package chaos

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Config says what to break and for how long.
type Config struct {
	Bin      string        // directory of the gateway and saver programs
	Seed     uint64        // of the clients and of the schedule
	Duration time.Duration // of the play; mending and checking come after it
	// Faults are the names of those that may happen. Defaults to DefaultFaults.
	Faults []string
	// Pause is the time between two faults. Defaults to 500 ms.
	Pause      time.Duration
	Gateways   int       // defaults to 2
	Savers     int       // defaults to 2
	Clients    int       // defaults to 8
	Characters int       // a client; defaults to 5
	Out        io.Writer // progress; defaults to nowhere
}

func (c Config) withDefaults() Config {
	def := func(n *int, d int) {
		if *n < 1 {
			*n = d
		}
	}
	def(&c.Gateways, 2)
	def(&c.Savers, 2)
	def(&c.Clients, 8)
	def(&c.Characters, 5)
	if len(c.Faults) == 0 {
		c.Faults = DefaultFaults()
	}
	if c.Pause <= 0 {
		c.Pause = 500 * time.Millisecond
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
	Violations []Violation
}

func (r *Result) String() string {
	verdict := "nothing lost, nothing doubled, nothing older"
	if n := len(r.Violations); n > 0 {
		verdict = fmt.Sprintf("%d VIOLATIONS, the first: %s", n, r.Violations[0])
	}
	return fmt.Sprintf("seed %d, faults %v, %d characters, actions: %s: %s", r.Seed, r.Faults, r.Characters, r.Actions, verdict)
}

// run is one run in progress.
type run struct {
	cfg    Config
	rig    *rig
	counts counts
	mu     sync.Mutex // guards result
	result Result
	models []*model
}

// Run starts a system, plays against it while parts of it break, mends it, and
// compares hot and cold with what was acknowledged. The error means that the
// run itself did not work; what it found is in the result.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	cfg = cfg.withDefaults()
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
	r := &run{cfg: cfg, result: Result{Seed: cfg.Seed, Faults: map[string]int{}}}
	if r.rig, err = startRig(ctx, dir, cfg.Bin, cfg.Gateways, cfg.Savers, log); err != nil {
		return nil, err
	}
	err = r.play(ctx)
	if err == nil {
		err = r.check(ctx)
	}
	if closing := r.rig.close(); err == nil {
		err = closing
	}
	r.result.Actions, r.result.Characters = r.counts.String(), len(r.models)
	return &r.result, err
}

func (r *run) report(v Violation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Violations = append(r.result.Violations, v)
}

// play lets the clients act and the faults happen side by side.
func (r *run) play(ctx context.Context) error {
	playing, stop := context.WithTimeout(ctx, r.cfg.Duration)
	defer stop()
	var group errgroup.Group
	for n := range r.cfg.Clients {
		c := r.client(n)
		group.Go(func() error { return c.play(playing) })
	}
	group.Go(func() error { return r.breakThings(playing) })
	return group.Wait()
}

func (r *run) client(n int) *client {
	c := &client{
		http:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2}},
		random: rand.New(rand.NewPCG(r.cfg.Seed, uint64(n)+1)),
		counts: &r.counts, report: r.report,
	}
	for _, g := range r.rig.gateways {
		c.gateways = append(c.gateways, g.addr)
	}
	for i := range r.cfg.Characters {
		m := newModel(int64(1 + n*r.cfg.Characters + i))
		c.models = append(c.models, m)
		r.models = append(r.models, m)
	}
	return c
}

func (r *run) breakThings(ctx context.Context) error {
	random := rand.New(rand.NewPCG(r.cfg.Seed, 0))
	for {
		pause(ctx, r.cfg.Pause)
		if ctx.Err() != nil {
			return nil
		}
		name := any1(random, r.cfg.Faults)
		break1, ok := faults[name]
		if !ok {
			return fmt.Errorf("no fault %q; there are %v", name, Faults())
		}
		if err := break1(ctx, r.rig, random); err != nil {
			return fmt.Errorf("fault %s: %w", name, err)
		}
		r.result.Faults[name]++
		fmt.Fprintf(r.cfg.Out, "%s; %s\n", name, &r.counts)
	}
}
