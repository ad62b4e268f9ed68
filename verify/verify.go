// Package verify compares the copies of characters, row by row: the hot one, the
// cold one and what the stream still holds. It says where the truth is, and can
// mend what differs.
package verify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Hot is the hot state; see hot.Store.
type Hot interface {
	Sampler
	Count(ctx context.Context) (int64, error)
	Each(ctx context.Context, yield func(events.CharID) bool) error
	Load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error)
}

// Cold is the saved state; see cold.Store.
type Cold interface {
	Sampler
	LoadMany(ctx context.Context, chars []events.CharID) (map[events.CharID]*game.State, error)
	Transfers(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]events.Transfer, error)
	SavedFights(ctx context.Context, sessions []uuid.UUID) (map[uuid.UUID]events.Version, error)
}

// Stream is what the stream still holds; see bus.Bus.
type Stream interface {
	Sampler
	// History calls yield with each retained event of some characters.
	History(ctx context.Context, chars []events.CharID, yield func(events.Stored)) error
}

// Report is what a comparison found.
type Report struct {
	Characters int // that were compared
	Rows       int // of the hot state
	Dirty      int // characters that are still marked
	Differing  int // rows that differ
	// Differences are the first of those, at most maxKept.
	Differences []Difference
	// Unequal are the characters that differ or are dirty.
	Unequal []events.CharID
	// Stream tells whether the stream was compared, too.
	Stream bool
}

// Equal reports whether the copies agree and nothing is left to save.
func (r *Report) Equal() bool { return r.Differing == 0 && r.Dirty == 0 }

func (r *Report) String() string {
	verdict := "all equal"
	if !r.Equal() {
		verdict = fmt.Sprintf("%d rows differ, %d characters are dirty", r.Differing, r.Dirty)
	}
	against := "hot against cold"
	if r.Stream {
		against = "hot against stream against cold"
	}
	return fmt.Sprintf("%d characters, %d rows compared, %s: %s", r.Characters, r.Rows, against, verdict)
}

func (r *Report) add(diffs []Difference) {
	r.Differing += len(diffs)
	r.Differences = append(r.Differences, diffs[:min(len(diffs), maxKept-len(r.Differences))]...)
}

const (
	// chunk is how many characters are compared at a time.
	chunk = 500
	// maxKept bounds the differences that a report holds.
	maxKept = 10_000
	// lookAgain is the pause before characters that differ are looked at again.
	lookAgain = 200 * time.Millisecond
)

// Verifier compares.
type Verifier struct {
	Hot  Hot
	Cold Cold
	// Stream is the third copy; nil to leave it out. It is asked about what
	// differs.
	Stream Stream
	// WholeStream compares the stream with every character, not only with those
	// that differ.
	WholeStream bool
	// Selection says what is compared. Defaults to every character that Redis has.
	Selection Selection
	// Rate is how many characters a second are read at most; 0 for no bound.
	Rate int
	// Progress, where not nil, is called after each chunk with the number of
	// characters that are done, of those that this round looks at.
	Progress func(done, of int)
}

// withWholeStream is a Verifier that asks the stream about every character.
func (v *Verifier) withWholeStream() *Verifier {
	whole := *v
	whole.WholeStream = true
	return &whole
}

// Run compares. While the game goes on or savers are behind, characters differ
// for moments: those are looked at again until they agree, at most for patience.
// What it remembers are the characters that differ.
func (v *Verifier) Run(ctx context.Context, patience time.Duration) (*Report, error) {
	deadline := time.Now().Add(patience)
	report := &Report{Stream: v.Stream != nil && v.WholeStream}
	limit := newLimiter(v.Rate)
	total, err := v.total(ctx)
	if err != nil {
		return nil, err
	}
	err = v.each(ctx, func(chars []events.CharID) error {
		unequal, err := v.compare(ctx, chars, report)
		report.Characters += len(chars)
		report.Unequal = append(report.Unequal, unequal...)
		if v.Progress != nil {
			v.Progress(report.Characters, max(total, report.Characters))
		}
		limit.wait(ctx, len(chars))
		return err
	})
	if err != nil {
		return nil, err
	}
	return report, v.again(ctx, report, limit, deadline)
}

// again looks at the unequal characters until they agree or the deadline has
// passed. The last look asks the stream where the truth is.
func (v *Verifier) again(ctx context.Context, report *Report, limit *limiter, deadline time.Time) error {
	slices.Sort(report.Unequal) // of a sample one may be there twice
	report.Unequal = slices.Compact(report.Unequal)
	for last := false; len(report.Unequal) > 0 && !last; {
		last = !time.Now().Before(deadline)
		if last {
			if v.Stream == nil {
				return nil
			}
			v = v.withWholeStream()
		}
		chars := report.Unequal
		report.Unequal, report.Differences, report.Differing, report.Dirty = nil, nil, 0, 0
		done := 0
		for part := range slices.Chunk(chars, chunk) {
			if err := v.look(ctx, part, report); err != nil {
				return err
			}
			done += len(part)
			if v.Progress != nil {
				v.Progress(done, len(chars))
			}
			limit.wait(ctx, len(part))
		}
		if len(report.Unequal) > 0 && !last {
			select {
			case <-time.After(min(lookAgain, max(0, time.Until(deadline)))):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return ctx.Err()
}

// look compares characters again: their rows were counted before.
func (v *Verifier) look(ctx context.Context, chars []events.CharID, report *Report) error {
	rows := report.Rows
	unequal, err := v.compare(ctx, chars, report)
	report.Rows = rows
	report.Unequal = append(report.Unequal, unequal...)
	return err
}

// compare adds to the report what differs among chars, and returns those that
// do not agree or are dirty.
func (v *Verifier) compare(ctx context.Context, chars []events.CharID, report *Report) (unequal []events.CharID, err error) {
	all, err := v.read(ctx, chars)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		report.Rows += len(c.hot.Rows())
		diffs := c.differences()
		report.add(diffs)
		if len(c.hot.Dirty) > 0 {
			report.Dirty++
		}
		if len(diffs)+len(c.hot.Dirty) > 0 {
			unequal = append(unequal, c.char)
		}
	}
	return unequal, nil
}
