// Package verify compares the hot state of characters with the cold one, row by
// row. It changes nothing.
package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Hot is the hot state; see hot.Store.
type Hot interface {
	Each(ctx context.Context, yield func(events.CharID) bool) error
	Load(ctx context.Context, char events.CharID, want game.Want) (*game.Loaded, error)
}

// Cold is the saved state; see cold.Store.
type Cold interface {
	LoadMany(ctx context.Context, chars []events.CharID) (map[events.CharID]*game.State, error)
}

// Report is what a comparison found.
type Report struct {
	Characters  int
	Rows        int               // of the hot state
	Dirty       int               // characters that are still marked
	Differences []game.Difference // none where everything is equal
}

// Equal reports whether hot and cold agree and nothing is left to save.
func (r *Report) Equal() bool { return len(r.Differences) == 0 && r.Dirty == 0 }

func (r *Report) String() string {
	verdict := "all equal"
	if !r.Equal() {
		verdict = fmt.Sprintf("%d rows differ, %d characters are dirty", len(r.Differences), r.Dirty)
	}
	return fmt.Sprintf("%d characters, %d rows compared, hot against cold: %s", r.Characters, r.Rows, verdict)
}

// chunk is how many characters are compared at a time.
const chunk = 500

// Verifier compares. Progress, where not nil, is called after each chunk with
// the number of characters that are done, of those that this round looks at.
type Verifier struct {
	Hot      Hot
	Cold     Cold
	Progress func(done, of int)
}

// Run compares every character that Redis has. While the game goes on or savers
// are behind, characters differ for moments: those are looked at again until
// they agree, at most for patience.
func (v *Verifier) Run(ctx context.Context, patience time.Duration) (*Report, error) {
	chars, err := v.all(ctx)
	if err != nil {
		return nil, err
	}
	report := &Report{Characters: len(chars)}
	deadline := time.Now().Add(patience)
	for pending, first := chars, true; len(pending) > 0; first = false {
		report.Differences, report.Dirty = nil, 0
		if pending, err = v.round(ctx, pending, report, first); err != nil {
			return nil, err
		}
		if len(pending) == 0 || !time.Now().Before(deadline) {
			break
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return report, nil
}

func (v *Verifier) all(ctx context.Context) ([]events.CharID, error) {
	seen := make(map[events.CharID]bool)
	var chars []events.CharID
	err := v.Hot.Each(ctx, func(char events.CharID) bool {
		if !seen[char] { // a scan may show a member twice
			seen[char] = true
			chars = append(chars, char)
		}
		return true
	})
	return chars, err
}

// round compares chars and returns those that do not agree.
func (v *Verifier) round(ctx context.Context, chars []events.CharID, report *Report, count bool) (pending []events.CharID, err error) {
	for start := 0; start < len(chars); start += chunk {
		part := chars[start:min(start+chunk, len(chars))]
		differ, err := v.compare(ctx, part, report, count)
		if err != nil {
			return nil, err
		}
		pending = append(pending, differ...)
		if v.Progress != nil {
			v.Progress(start+len(part), len(chars))
		}
	}
	return pending, nil
}

func (v *Verifier) compare(ctx context.Context, chars []events.CharID, report *Report, count bool) (differ []events.CharID, err error) {
	// Hot first: what is saved between the two reads is then in the second.
	hot := make([]*game.Loaded, len(chars))
	for i, char := range chars {
		if hot[i], err = v.Hot.Load(ctx, char, game.Everything); err != nil {
			return nil, err
		}
	}
	cold, err := v.Cold.LoadMany(ctx, chars)
	if err != nil {
		return nil, err
	}
	for i, char := range chars {
		if count {
			report.Rows += len(hot[i].Rows())
		}
		diffs := game.Diff(&hot[i].State, cold[char])
		report.Differences = append(report.Differences, diffs...)
		if len(hot[i].Dirty) > 0 {
			report.Dirty++
		}
		if len(diffs)+len(hot[i].Dirty) > 0 {
			differ = append(differ, char)
		}
	}
	return differ, nil
}
