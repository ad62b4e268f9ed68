package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/bench/report"
)

type runCmd struct {
	Quick bool     `help:"Smaller numbers, in less than two minutes."`
	Only  []string `help:"Which sections to run, a comma list."`
	Seed  uint64   `env:"SEED" default:"1" help:"Of the events and of whatever else is random."`
	Out   string   `type:"path" default:"bench/results" help:"Directory that the table is kept in; empty for nowhere."`
}

// settings are what every section is told.
type settings struct {
	self  string // this program
	bin   string // directory of the built programs
	quick bool
	seed  uint64
	say   func(line string)
}

// A section is one part of the table.
type section struct {
	name string
	run  func(ctx context.Context, s settings) ([]report.Row, error)
}

// Run measures. A section that fails does not keep the others from running; its
// rows until then are in the table.
func (r *runCmd) Run(ctx context.Context) error {
	chosen, err := choose(sections, r.Only)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	began := time.Now()
	s := settings{self: self, bin: filepath.Dir(self), quick: r.Quick, seed: r.Seed, say: func(line string) {
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), line)
	}}
	about, err := describe(ctx, s)
	if err != nil {
		return err
	}
	rows, failed := runAll(ctx, chosen, s)
	var table bytes.Buffer
	if err := r.write(&table, about, rows, time.Since(began), failed); err != nil {
		return err
	}
	fmt.Print(table.String())
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), failed) // nobody needs half a table
	}
	return errors.Join(r.keep(about, table.Bytes()), failed)
}

func choose(all []section, only []string) (chosen []section, err error) {
	if len(only) == 0 {
		return all, nil
	}
	for _, name := range only {
		i := slices.IndexFunc(all, func(s section) bool { return s.name == name })
		if i < 0 {
			names := make([]string, len(all))
			for i := range all {
				names[i] = all[i].name
			}
			return nil, fmt.Errorf("there is no section %q; there are %s", name, strings.Join(names, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func runAll(ctx context.Context, chosen []section, s settings) (rows []report.Row, failed error) {
	for _, part := range chosen {
		s.say(part.name)
		more, err := part.run(ctx, s)
		rows = append(rows, more...)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("section %s: %w", part.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return rows, failed
}

// write makes the page: what was measured on what, and the table.
func (r *runCmd) write(w io.Writer, about machine, rows []report.Row, took time.Duration, failed error) error {
	command := "make bench"
	if r.Quick {
		command = "make bench-quick"
	}
	if len(r.Only) > 0 {
		command = "bin/bench --only " + strings.Join(r.Only, ",")
	}
	fmt.Fprintf(w, "# %s, seed %d, at %s\n\n", command, r.Seed, about.commit)
	fmt.Fprintf(w, "%s, in %s. Ratios are to figures of this run; absolute figures are this machine's.\n\n", about.when.Format(time.DateTime+" MST"), took.Round(time.Second))
	for _, line := range about.lines {
		fmt.Fprintf(w, "- %s\n", line)
	}
	fmt.Fprintln(w)
	if err := report.Write(w, rows); err != nil {
		return err
	}
	missed := 0
	for _, row := range rows {
		if row.Missed {
			missed++
		}
	}
	fmt.Fprintf(w, "\n%d rows, %d missed what is wanted.\n", len(rows), missed)
	if failed != nil {
		fmt.Fprintf(w, "\nFAILED: %v\n", failed)
	}
	return nil
}

func (r *runCmd) keep(about machine, page []byte) error {
	if r.Out == "" {
		return nil
	}
	if err := os.MkdirAll(r.Out, 0o755); err != nil {
		return err
	}
	name := about.when.Format(time.DateOnly) + "-" + about.commit
	if r.Quick {
		name += "-quick"
	}
	path := filepath.Join(r.Out, name+".md")
	fmt.Fprintln(os.Stderr, "kept in", path)
	return os.WriteFile(path, page, 0o644)
}
