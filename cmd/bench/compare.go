package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/bench/drain"
	"github.com/savepoint-games/savepoint/bench/hotpath"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
)

// compareCmd tells what a change gains on a machine whose speed drifts by more
// than that: only figures that were taken in turns can be compared.
type compareCmd struct {
	Savers   compareSavers   `cmd:"" help:"Drains by savers."`
	Gateways compareGateways `cmd:"" help:"Answers of gateways; the build bare is baseline (iv)."`
	Beside   compareBeside   `cmd:"" help:"Answers of the shipped gateway while savers drain a backlog."`
}

// comparing is what both have.
type comparing struct {
	Builds []string `arg:"" help:"What takes turns: [PATH][@NAME=VALUE,…][*N], a program, its environment, how many savers at once. Without a path the shipped one. The first is what the others are compared with."`
	Turns  int      `default:"5" help:"How many turns each has."`
	Seed   uint64   `env:"SEED" default:"1" help:"Of the events and of whatever else is random."`
	NATS   int      `name:"nats" default:"1" help:"How many NATS servers there are: 3 are a cluster, with 3 replicas of each stream."`
}

type compareSavers struct {
	comparing
	Kinds      []string `default:"vitals" enum:"vitals,inventory,combat,scenario,mix" help:"Of events: ${enum}."`
	Events     int      `default:"200000" help:"Of the backlog."`
	Characters int      `default:"10000" help:"That they are about."`
	Zipf       float64  `help:"Skew of the characters, above 1; 0 is none."`
	Again      float64  `help:"Share of the events that is delivered twice."`
	Within     int      `help:"How many events may overtake one."`
}

// Run prints the table.
func (c *compareSavers) Run(ctx context.Context) error {
	s, err := newSettings(c.Seed)
	if err != nil {
		return err
	}
	var all []drain.Contender
	for _, text := range c.Builds {
		options, n, err := parseBuild(text)
		if err != nil {
			return err
		}
		all = append(all, drain.Contender{Name: text, Savers: n, Options: options})
	}
	sizes := drain.Sizes{
		Vitals: c.Events, Others: c.Events, Characters: c.Characters, Zipf: c.Zipf,
		Disorder: workload.Disorder{Again: c.Again, Within: c.Within}, Repeat: max(1, c.Turns),
	}
	for _, kind := range c.Kinds {
		sizes.Kinds = append(sizes.Kinds, workload.Kind(kind))
	}
	rows, err := drain.Turns(ctx, drain.Config{Bin: s.bin, Seed: s.seed, Progress: s.say, NATSServers: c.NATS, Sizes: sizes}, all)
	return cmp.Or(err, report.Write(os.Stdout, rows))
}

type compareGateways struct {
	comparing
	Stories    []string  `default:"vitals" help:"As in the sections of the hot path."`
	Rates      []float64 `default:"0,2000,4000" help:"Actions a second; 0 is a closed loop."`
	Characters int       `default:"5000" help:"That they are about."`
	Zipf       float64   `help:"Skew of the characters, above 1, whose actions then do not wait for each other; 0 is none."`
	Saver      bool      `help:"A saver runs all the time."`
}

// Run prints the table.
func (c *compareGateways) Run(ctx context.Context) error {
	s, all, err := c.begin()
	if err != nil {
		return err
	}
	rows, err := hotpath.Turns(ctx, hotpath.Config{
		Bin: s.bin, Self: s.self, Seed: s.seed, Progress: s.say, NATSServers: c.NATS,
		Sizes: hotpath.Sizes{Characters: c.Characters, Stories: c.Stories, Open: hotpath.Window, Turns: max(1, c.Turns)},
	}, hotpath.Turn{Rates: c.Rates, Saver: c.Saver, Zipf: c.Zipf}, all)
	return cmp.Or(err, report.Write(os.Stdout, rows))
}

type compareBeside struct {
	comparing
	Story   string        `default:"vitals" help:"As in the sections of the hot path."`
	Rate    float64       `default:"4000" help:"Actions a second."`
	Backlog int           `default:"300000" help:"Events of the mix."`
	For     time.Duration `default:"10s" help:"How long each saver is watched."`
}

// Run prints the table.
func (c *compareBeside) Run(ctx context.Context) error {
	s, all, err := c.begin()
	if err != nil {
		return err
	}
	rows, err := hotpath.BesideDrains(ctx, hotpath.Config{
		Bin: s.bin, Self: s.self, Seed: s.seed, Progress: s.say, NATSServers: c.NATS,
		Sizes: hotpath.Sizes{Characters: 5000, Turns: c.Turns, Rest: 2 * time.Second},
	}, hotpath.Beside{Story: c.Story, Rate: c.Rate, Backlog: c.Backlog, For: c.For}, all)
	return cmp.Or(err, report.Write(os.Stdout, rows))
}

// begin is the beginning of what asks gateways.
func (c *comparing) begin() (s settings, all []hotpath.Contender, err error) {
	if all, err = contenders(c.Builds); err == nil {
		s, err = newSettings(c.Seed)
	}
	return s, all, err
}

// contenders are builds of which one runs at a time.
func contenders(builds []string) (all []hotpath.Contender, err error) {
	for _, text := range builds {
		c := hotpath.Contender{Name: text, Bare: text == "bare"}
		n := 1
		if !c.Bare {
			c.Options, n, err = parseBuild(text)
		}
		if err == nil && n != 1 {
			err = fmt.Errorf("%q: only drains are for several at once", text)
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// newSettings are those of a comparison.
func newSettings(seed uint64) (settings, error) {
	self, err := os.Executable()
	began := time.Now()
	return settings{self: self, bin: filepath.Dir(self), seed: seed, say: func(line string) {
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), line)
	}}, err
}

// parseBuild takes [PATH][@NAME=VALUE,…][*N] apart; a lone "." has no path.
func parseBuild(text string) (o rig.Options, n int, err error) {
	rest, count, many := strings.Cut(text, "*")
	if n = 1; many {
		if n, err = strconv.Atoi(count); err != nil || n < 1 {
			return o, 0, fmt.Errorf("%q: how many at once must be a number above 0", text)
		}
	}
	path, env, _ := strings.Cut(rest, "@")
	if path != "." {
		o.Path = path
	}
	if env != "" {
		o.Env = strings.Split(env, ",")
	}
	for _, v := range o.Env {
		if !strings.Contains(v, "=") {
			return o, 0, fmt.Errorf("%q: %q must be NAME=VALUE", text, v)
		}
	}
	return o, n, nil
}
