package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/program"
	"github.com/savepoint-games/savepoint/internal/secret"
	"github.com/savepoint-games/savepoint/verify"
)

type verifyCmd struct {
	Wait   time.Duration `name:"wait" default:"45s" help:"How long rows may take to become equal while savers work."`
	Limit  int           `name:"limit" default:"20" help:"How many differences to print."`
	Char   character     `name:"char" help:"Only this character."`
	Sample string        `name:"sample" help:"Only so many characters, drawn by chance: a number, or a share of those in Redis as in 1%. As many again are drawn of PostgreSQL and of the stream."`
	Seed   uint64        `name:"seed" help:"Draw the sample of this seed; without one, a new one is taken and printed."`
	Rate   int           `name:"rate" help:"Read at most so many characters a second."`
	Stream bool          `name:"stream" help:"Compare the stream with all characters, not only with those that differ."`
	Repair bool          `name:"repair" help:"Mend what differs, and compare again. Savers must be running."`
	JSON   bool          `name:"json" help:"As JSON."`
}

// errDiffer makes the command exit with 1; the report is printed already.
var errDiffer = errors.New("the copies differ")

// Run compares the copies, and mends them where it shall.
func (v verifyCmd) Run(ctx context.Context, c *cli, out *output) error {
	log := c.Logger(out.Err)
	conns, err := open(ctx, c, "savepoint-verify", log)
	if err != nil {
		return err
	}
	defer conns.close(ctx)
	run := &verification{cmd: v, conns: conns, out: out, log: log, stream: conns.bus}
	if err := run.await(ctx); err != nil {
		return fmt.Errorf("%w (NATS_URL is %s)", err, secret.URLs(c.NATSURL))
	}
	if run.selection, err = v.selection(ctx, conns); err != nil {
		return err
	}
	return run.do(ctx)
}

// selection says what to compare.
func (v verifyCmd) selection(ctx context.Context, conns *connections) (s verify.Selection, err error) {
	if v.Char != 0 {
		s.Chars = []events.CharID{v.Char.id()}
		return s, nil
	}
	if v.Sample == "" {
		return s, nil
	}
	if s.Seed = v.Seed; s.Seed == 0 {
		s.Seed = rand.Uint64N(math.MaxInt64) + 1
	}
	s.Sample, err = sampleSize(v.Sample, func() (int64, error) { return conns.hot.Count(ctx) })
	return s, err
}

var errSample = errors.New("--sample must be a number above 0, or a share of 100% at most")

// sampleSize reads "500" or "2.5%".
func sampleSize(text string, count func() (int64, error)) (int, error) {
	share, isShare := strings.CutSuffix(text, "%")
	if !isShare {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return 0, errSample
		}
		return n, nil
	}
	percent, err := strconv.ParseFloat(share, 64)
	if err != nil || !(percent > 0 && percent <= 100) {
		return 0, errSample
	}
	all, err := count()
	return max(1, int(math.Ceil(float64(all)*percent/100))), err
}

// verification is one run of the command.
type verification struct {
	cmd       verifyCmd
	conns     *connections
	out       *output
	log       *slog.Logger
	stream    verify.Stream // nil where NATS does not answer
	selection verify.Selection
	actions   []verify.Action
}

// await waits for NATS. What needs only the other two goes on without it.
func (r *verification) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	err := r.conns.await(ctx)
	if err == nil || r.cmd.Stream || r.cmd.Repair {
		return err
	}
	r.log.Warn("only hot and cold are compared", "err", err)
	r.stream = nil
	return nil
}

// repairAfter is how long rows may differ before a repair begins: longer than a
// save takes on a good day. It need not be longer, because a repair leaves to
// the savers what waits for them.
const repairAfter = time.Second

func (r *verification) do(ctx context.Context) error {
	patience := r.cmd.Wait
	if r.cmd.Repair {
		patience = min(patience, repairAfter)
	}
	report, err := r.compare(ctx, r.selection, patience)
	if err != nil {
		return err
	}
	if r.cmd.Repair && !report.Equal() {
		if !r.cmd.JSON {
			r.print(report)
		}
		if report, err = r.repair(ctx, report); err != nil {
			return err
		}
	}
	if err := r.finish(report); err != nil {
		return err
	}
	if !report.Equal() {
		return errDiffer
	}
	return nil
}

func (r *verification) verifier(selection verify.Selection) *verify.Verifier {
	return &verify.Verifier{
		Hot: r.conns.hot, Cold: r.conns.cold, Stream: r.stream,
		WholeStream: r.cmd.Stream, Selection: selection, Rate: r.cmd.Rate,
	}
}

func (r *verification) compare(ctx context.Context, selection verify.Selection, patience time.Duration) (*verify.Report, error) {
	progress := program.NewProgress(r.out.Err)
	defer progress.Done()
	verifier := r.verifier(selection)
	verifier.Progress = func(done, of int) {
		progress.Show(fmt.Sprintf("compared %d of %d characters", done, of))
	}
	return verifier.Run(ctx, patience)
}

// repair mends what the report names, and returns the report of a second look
// at it: rows, characters and verdict of the whole.
func (r *verification) repair(ctx context.Context, found *verify.Report) (*verify.Report, error) {
	repairer := &verify.Repairer{
		Verifier: r.verifier(r.selection), Game: r.conns.service(events.CauseDispatch, r.log),
		Publisher: r.conns.bus, Marks: r.conns.hot, Done: r.acted,
	}
	if err := repairer.Run(ctx, found.Unequal); err != nil {
		return nil, err
	}
	again, err := r.compare(ctx, verify.Selection{Chars: found.Unequal}, r.cmd.Wait)
	if err != nil {
		return nil, err
	}
	again.Characters, again.Rows = found.Characters, found.Rows
	return again, nil
}

func (r *verification) acted(a verify.Action) {
	if r.cmd.JSON {
		r.actions = append(r.actions, a)
		return
	}
	fmt.Fprintf(r.out.Out, "repair: %s\n", a)
}

func (r *verification) finish(report *verify.Report) error {
	if r.cmd.JSON {
		return r.printJSON(report)
	}
	r.print(report)
	return nil
}

func (r *verification) print(report *verify.Report) {
	for i, d := range report.Differences {
		if i == r.cmd.Limit {
			break
		}
		fmt.Fprintln(r.out.Out, d)
	}
	if more := report.Differing - min(r.cmd.Limit, len(report.Differences)); more > 0 {
		fmt.Fprintf(r.out.Out, "… and %d more\n", more)
	}
	if r.selection.Sample > 0 {
		fmt.Fprintf(r.out.Out, "sample of seed %d: ", r.selection.Seed)
	}
	fmt.Fprintln(r.out.Out, report)
}
