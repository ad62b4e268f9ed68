package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/savers"
)

type dlqCmd struct {
	List  dlqListCmd  `cmd:"" help:"List the dead letters, oldest first. One that is resolved, because PostgreSQL has its rows as new or newer, goes with the next sweep."`
	Show  dlqShowCmd  `cmd:"" help:"Show one, with its body."`
	Retry dlqRetryCmd `cmd:"" help:"Publish dead letters again where they came from; one that is still no good comes back."`
	Drop  dlqDropCmd  `cmd:"" help:"Remove dead letters for good."`
}

// which says which dead letters.
type which struct {
	Sequence []uint64   `arg:"" optional:"" help:"Sequences, as list shows them."`
	All      bool       `help:"All of them, or all of --scope and --char."`
	Scope    stateScope `help:"Only this scope."`
	Char     character  `help:"Only this character."`
}

var errWhich = errors.New("name sequences, or --all (with --scope and --char, all of these)")

// sequences lists the letters that w names; their bodies may be more than memory holds.
func (w which) sequences(ctx context.Context, b *bus.Bus) (all []uint64, err error) {
	if w.All == (len(w.Sequence) > 0) {
		return nil, errWhich
	}
	if !w.All {
		return w.Sequence, nil
	}
	err = b.Letters(ctx, w.Scope.scope(), w.Char.id(), func(l events.DeadLetter) bool {
		all = append(all, l.Sequence)
		return true
	})
	return all, err
}

type dlqListCmd struct {
	Scope stateScope `help:"Only this scope."`
	Char  character  `help:"Only this character."`
	Limit int        `default:"100" help:"How many to list."`
}

// Run lists.
func (d dlqListCmd) Run(ctx context.Context, c *cli, out *output) error {
	return connected(ctx, c, out, func(ctx context.Context, conns *connections) error {
		var letters []events.DeadLetter
		err := conns.bus.Letters(ctx, d.Scope.scope(), d.Char.id(), func(l events.DeadLetter) bool {
			letters = append(letters, l)
			return len(letters) < d.Limit
		})
		if err != nil {
			return err
		}
		return printLetters(out.Out, letters, conns.resolved(ctx, letters))
	})
}

// resolved says of each letter whether a newer save has made up for it; "?"
// where PostgreSQL does not answer.
func (c *connections) resolved(ctx context.Context, letters []events.DeadLetter) []string {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	words := make([]string, len(letters))
	resolved, err := savers.Resolved(ctx, c.cold, letters)
	for i := range words {
		switch {
		case err != nil:
			words[i] = unknown
		case resolved[i]:
			words[i] = "yes"
		default:
			words[i] = "no"
		}
	}
	return words
}

func printLetters(w io.Writer, letters []events.DeadLetter, resolved []string) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "sequence\tscope\tcharacter\tstored\tresolved\treason")
	for i, l := range letters {
		char, reason := "unknown", l.Reason
		if l.Cut > 0 {
			reason += " (without its body)"
		}
		if l.Char != 0 {
			char = l.Char.String()
		}
		fmt.Fprintf(table, "%d\t%s\t%s\t%s\t%s\t%s\n", l.Sequence, l.Scope, char, l.Stored.Format(time.RFC3339), resolved[i], reason)
	}
	return table.Flush()
}

type dlqShowCmd struct {
	Sequence uint64 `arg:"" help:"As list shows it."`
}

// Run shows one.
func (d dlqShowCmd) Run(ctx context.Context, c *cli, out *output) error {
	return connected(ctx, c, out, func(ctx context.Context, conns *connections) error {
		l, err := conns.bus.Letter(ctx, d.Sequence)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out.Out, "subject  %s\nstored   %s\nreason   %s\n\n%s\n", l.Subject, l.Stored.Format(time.RFC3339Nano), l.Reason, bodyOf(l))
		return err
	})
}

// bodyOf is a letter's body, or where to find it.
func bodyOf(l events.DeadLetter) string {
	if l.Cut > 0 {
		return fmt.Sprintf("(%d bytes, too large to be kept here; event %d of %s, as long as that has it)", l.Cut, l.Original, bus.StreamChanges)
	}
	return string(l.Body)
}

type dlqRetryCmd struct{ which }

// Run publishes letters again.
func (d dlqRetryCmd) Run(ctx context.Context, c *cli, out *output) error {
	return d.each(ctx, c, out, "published again", func(ctx context.Context, b *bus.Bus, l events.DeadLetter) error {
		return b.RetryLetter(ctx, l)
	})
}

type dlqDropCmd struct{ which }

// Run removes letters.
func (d dlqDropCmd) Run(ctx context.Context, c *cli, out *output) error {
	return d.each(ctx, c, out, "dropped", func(ctx context.Context, b *bus.Bus, l events.DeadLetter) error {
		return b.DropLetter(ctx, l.Sequence)
	})
}

// each does something to the letters that w names, and says to how many. One that fails
// stops no other; one of all that is gone meanwhile does not fail.
func (w which) each(ctx context.Context, c *cli, out *output, done string, do func(context.Context, *bus.Bus, events.DeadLetter) error) error {
	return connected(ctx, c, out, func(ctx context.Context, conns *connections) error {
		sequences, err := w.sequences(ctx, conns.bus)
		if err != nil {
			return err
		}
		progress := program.NewProgress(out.Err)
		var failed []error
		n := 0
		for i, seq := range sequences {
			if ctx.Err() != nil {
				failed = append(failed, ctx.Err())
				break
			}
			l, err := conns.bus.Letter(ctx, seq)
			if err == nil {
				err = do(ctx, conns.bus, l)
			}
			switch {
			case err == nil:
				n++
			case !w.All || !errors.Is(err, bus.ErrNoLetter):
				failed = append(failed, err)
			}
			progress.Show(fmt.Sprintf("%d of %d dead letters", i+1, len(sequences)))
		}
		progress.Done()
		_, err = fmt.Fprintf(out.Out, "%d dead letters %s\n", n, done)
		return errors.Join(append(failed, err)...)
	})
}
