// Package hotpath measures how fast a gateway answers, beside a bare handler
// that does one Redis script and one publish and nothing else: baseline (iv).
//
// For each route the highest rates of both are found by a closed loop. Then
// requests come at fixed rates, whatever the answers take, at 50 and 80 % of the
// highest rate of the product on that route. The bare handler gets its requests
// at the same rates, not at the same share of its own: the ratio compares equal
// load. The two take turns in short windows, so that the noise of the machine
// meets both, and the percentiles are over all windows of one.
//
// Savers are stopped while latencies are taken, but for trades, where a
// gateway reads what is not saved, for answers that wait for them, and for what
// says so. What was published is
// saved between the stories.
//
// The bare handler always gets the requests of vitals. The steps of a session
// (enter, go on, finish) come in turn for each character, from many characters
// at once: the rate is that of all steps together, the latencies are by step.
package hotpath

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/savepoint-games/savepoint/bench/load"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/usage"
	"github.com/savepoint-games/savepoint/internal/stack"
)

// Config says what to measure.
type Config struct {
	Bin string // directory of the built programs
	// Self is the program that serves `bare <addr> <redis> <nats>` (bare.ServeBare)
	// and `load <addr>` (load.Serve).
	Self  string
	Seed  uint64
	Quick bool
	// Progress is told what is going on; it may be nil.
	Progress func(line string)
	// NATSServers is how many NATS servers there are; defaults to 1.
	NATSServers int
	// Sizes defaults to those of Quick, or of a whole run.
	Sizes Sizes
}

// Sizes are how much is measured.
type Sizes struct {
	Characters int
	Stories    []string      // in this order
	Closed     time.Duration // of a window of the closed loop
	Open       time.Duration // of a window at a fixed rate
	Turns      int           // windows of each of the two at each rate
	Backlog    int           // events that wait for savers
	// Rest is how long nothing is asked after the backlog was published: what is
	// measured is that it waits, not that it came.
	Rest time.Duration
}

func sizes(quick bool) Sizes {
	if quick {
		return Sizes{
			Characters: 1000, Stories: []string{"vitals", "inventory", "combat"},
			Closed: 300 * time.Millisecond, Open: 200 * time.Millisecond, Turns: 2, Backlog: 20_000,
		}
	}
	return Sizes{
		Characters: 5000, Stories: []string{"vitals", "inventory", "combat", "scenario", "bag", "view", "keyed", "levels", "dispatch", "newcomers", "cold", "transfers"},
		Closed: time.Second, Open: 800 * time.Millisecond, Turns: 4, Backlog: 1_000_000, Rest: 30 * time.Second,
	}
}

// Run measures everything on servers of its own.
func Run(ctx context.Context, c Config) (_ []report.Row, err error) {
	if c.Sizes.Characters == 0 {
		c.Sizes = sizes(c.Quick)
	}
	m := &meter{Config: c, seed: c.Seed, highest: map[string]float64{}}
	defer func() { err = errors.Join(err, m.close()) }()
	if err := m.open(ctx); err != nil {
		return nil, err
	}
	var rows []report.Row
	for _, story := range c.Sizes.Stories {
		more, err := m.story(ctx, story)
		rows = append(rows, more...)
		if err != nil {
			return rows, fmt.Errorf("hot path, %s: %w", story, err)
		}
	}
	more, err := m.conditions(ctx)
	return append(rows, more...), err
}

const (
	// closedConns is enough for the highest rate on a few cores; more only wait.
	closedConns = 32
	// openConns is far more than are under way below the highest rate.
	openConns = 256
)

// meter measures on one set of servers.
type meter struct {
	Config
	seed      uint64 // of the next window
	rig       *rig.Rig
	gateway   *rig.Program
	bare      *stack.Process
	bareAddr  string
	load      *stack.Process
	generator load.Remote
	highest   map[string]float64 // rates of the stories that were measured, a second
}

const startTimeout = time.Minute

func (m *meter) open(ctx context.Context) (err error) {
	on := rig.All(m.Bin)
	on.NATSServers = m.NATSServers
	if m.rig, err = rig.Start(ctx, on); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if m.gateway, err = m.rig.StartGateway(ctx, rig.Options{}); err != nil {
		return err
	}
	addrs, err := stack.FreeAddrs(2)
	if err != nil {
		return err
	}
	m.bareAddr, m.generator = addrs[0], load.Remote{Addr: addrs[1]}
	if m.bare, err = m.start(ctx, addrs[0], "bare", addrs[0], m.rig.RedisURL(), m.rig.NATSURL()); err != nil {
		return err
	}
	if m.load, err = m.start(ctx, addrs[1], "load", addrs[1]); err != nil {
		return err
	}
	if err := m.makeCharacters(ctx); err != nil {
		return err
	}
	return m.settle(ctx)
}

// start starts a part of the bench in a process of its own.
func (m *meter) start(ctx context.Context, addr string, args ...string) (*stack.Process, error) {
	p, err := stack.StartProcess(ctx, stack.ProcessConfig{Name: args[0], Path: m.Self, Args: args, Stdout: os.Stderr, Stderr: os.Stderr})
	if err != nil {
		return nil, err
	}
	if err := load.AwaitReady(ctx, addr); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", args[0], err), p.Kill())
	}
	return p, nil
}

func (m *meter) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var errs []error
	for _, p := range []*stack.Process{m.load, m.bare} {
		if p != nil {
			errs = append(errs, p.Stop(ctx))
		}
	}
	if m.rig != nil {
		errs = append(errs, m.rig.Close())
	}
	return errors.Join(errs...)
}

// makeCharacters gives all that take part vitals and items, so that they are in
// Redis before anything counts.
func (m *meter) makeCharacters(ctx context.Context) error {
	began := time.Now()
	_, err := m.window(ctx, load.Window{
		Addr: m.gateway.Addr, Story: load.StoryMake, Conns: closedConns, For: startTimeout, Each: 2,
	})
	m.sayf("%d characters made in %v", m.Sizes.Characters, time.Since(began).Round(time.Millisecond))
	return err
}

func (m *meter) sayf(format string, values ...any) {
	if m.Progress != nil {
		m.Progress(fmt.Sprintf(format, values...))
	}
}

// window runs one; what is refused is an error.
func (m *meter) window(ctx context.Context, w load.Window) (load.Result, error) {
	m.seed++
	w.Characters, w.Seed = m.Sizes.Characters, m.seed
	result, err := m.generator.Run(ctx, w)
	if err == nil && len(result.Refused) > 0 {
		err = fmt.Errorf("%s: answers refused, by status: %v, as in %s", w.Story, result.Refused, result.Refusal)
	}
	return result, err
}

// groups are the processes whose time counts.
func (m *meter) groups() usage.Groups {
	groups := usage.Groups{"bare": {m.bare.Pid()}, "generator": {m.load.Pid()}}
	for name, pids := range m.rig.Pids() {
		groups[name] = pids
	}
	return groups
}
