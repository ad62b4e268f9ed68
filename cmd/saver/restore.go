package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

type restoreCmd struct {
	Char          character   `required:"" help:"Which character."`
	At            time.Time   `required:"" help:"The moment (RFC 3339) whose values it shall have again."`
	Only          []game.Part `enum:"vitals,progress,items,scenarios" help:"Only these: vitals, progress, items, scenarios. Without it, all."`
	EndSessions   bool        `help:"End what the character is doing first, a fight as abandoned. Without it, a character that is in a context is left alone."`
	DespiteTrades bool        `help:"Restore items although some were traded since: the others keep what they got, so there is more of it than before."`
	AssumeNew     bool        `help:"Take for not there what the stream has no older event of, and for true the last event before, where the next one says otherwise. Without it, a row that nobody knows the past of is refused."`
	DryRun        bool        `help:"Only show what would change."`
}

var errNotYet = errors.New("--at: must be in the past")

// Run restores a character.
func (r restoreCmd) Run(ctx context.Context, c *cli, out *output) error {
	if !r.At.Before(time.Now()) {
		return errNotYet
	}
	return connected(ctx, c, out, func(ctx context.Context, conns *connections) error {
		ctx, cancel := context.WithTimeout(ctx, restoreTimeout)
		defer cancel()
		var kept events.Version
		keptSince := func(ctx context.Context) (_ events.Version, err error) {
			if !r.AssumeNew {
				kept, err = conns.bus.KeptSince(ctx)
			}
			return kept, err
		}
		service := conns.service(events.CauseRestore, c.Logger(out.Err))
		defer service.Close()
		restored, err := service.Restore(ctx, r.Char.id(), gateway.Restoration{
			Restoration: game.Restoration{Parts: r.Only, DespiteTrades: r.DespiteTrades},
			At:          r.At, Kept: keptSince, EndSessions: r.EndSessions, DryRun: r.DryRun,
		})
		if err != nil {
			return r.explain(err, kept)
		}
		r.print(out, restored)
		return nil
	})
}

// restoreTimeout bounds the reading of a character's events, and the change.
const restoreTimeout = time.Minute

// explain says what to do next.
func (r restoreCmd) explain(err error, kept events.Version) error {
	what := fmt.Errorf("character %d was not restored: %w", r.Char, err)
	_, unknown := errors.AsType[*game.UnknownPastError](err)
	_, traded := errors.AsType[*game.TradedError](err)
	switch {
	case unknown:
		return fmt.Errorf("%w; the stream keeps all since %s; --only restores other rows, --assume-new takes these for what the last event before says, and for not there where there is none", what, kept.Time().Format(time.RFC3339))
	case traded:
		return fmt.Errorf("%w; --despite-trades restores them all the same, --only vitals,progress,scenarios all but items", what)
	case errors.Is(err, game.ErrInContext):
		return fmt.Errorf("%w; --end-sessions ends that first", what)
	case errors.Is(err, gateway.ErrUnknown) || r.DryRun:
		return what
	}
	// A server may have done what it did not answer.
	return fmt.Errorf("whether character %d was restored is not known: %w; try again: what is restored stays so", r.Char, err)
}

func (r restoreCmd) print(out *output, restored *gateway.Restored) {
	for _, row := range restored.Rows {
		now := row.Now
		if now == "" {
			now = "none"
		}
		fmt.Fprintf(out.Out, "%s: %s -> %s\n", row.Row, now, row.Was)
	}
	switch {
	case len(restored.Rows) == 0:
		fmt.Fprintf(out.Out, "character %d is as it was at %s\n", r.Char, r.At.Format(time.RFC3339Nano))
	case r.DryRun:
		fmt.Fprintf(out.Out, "character %d: %d rows would change\n", r.Char, len(restored.Rows))
	default:
		fmt.Fprintf(out.Out, "character %d is as it was at %s: %d rows, version %d, durability %s\n",
			r.Char, r.At.Format(time.RFC3339Nano), len(restored.Rows), restored.Version, restored.Durability)
	}
}
