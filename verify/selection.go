package verify

import (
	"context"
	"math/rand/v2"
	"slices"

	"github.com/savepoint-games/savepoint/events"
)

// A Sampler knows characters and names some of them by chance.
type Sampler interface {
	// Sample returns up to n characters; one may be among them twice.
	Sample(ctx context.Context, random *rand.Rand, n int) ([]events.CharID, error)
}

// A Selection says which characters are compared. The zero value means all that
// Redis has.
type Selection struct {
	// Chars are compared alone, where there are any.
	Chars []events.CharID
	// Sample is how many characters are drawn by chance: that many of Redis, and
	// as many each of PostgreSQL and the stream, to find those that Redis does
	// not have.
	Sample int
	// Seed decides the draw. The same seed draws the same characters while none
	// come or go.
	Seed uint64
}

// total is how many characters will be compared, for the progress.
func (v *Verifier) total(ctx context.Context) (int, error) {
	switch {
	case len(v.Selection.Chars) > 0:
		return len(v.Selection.Chars), nil
	case v.Selection.Sample > 0:
		return v.Selection.Sample * len(v.samplers()), nil
	}
	n, err := v.Hot.Count(ctx)
	return int(n), err
}

// samplers are the copies that a sample is drawn from.
func (v *Verifier) samplers() []Sampler {
	samplers := []Sampler{v.Hot, v.Cold}
	if v.Stream != nil {
		samplers = append(samplers, v.Stream)
	}
	return samplers
}

// each calls do with the characters to compare, a chunk at a time.
func (v *Verifier) each(ctx context.Context, do func([]events.CharID) error) error {
	switch {
	case len(v.Selection.Chars) > 0:
		for part := range slices.Chunk(v.Selection.Chars, chunk) {
			if err := do(part); err != nil {
				return err
			}
		}
		return nil
	case v.Selection.Sample > 0:
		return v.eachSampled(ctx, do)
	}
	return v.eachHot(ctx, do)
}

// eachHot goes through all that Redis has. The scan may show a character twice:
// then it is compared twice.
func (v *Verifier) eachHot(ctx context.Context, do func([]events.CharID) error) (err error) {
	part := make([]events.CharID, 0, chunk)
	scan := v.Hot.Each(ctx, func(char events.CharID) bool {
		if part = append(part, char); len(part) == chunk {
			err = do(part)
			part = part[:0]
		}
		return err == nil
	})
	if err == nil && scan == nil && len(part) > 0 {
		err = do(part)
	}
	if err != nil {
		return err
	}
	return scan
}

// eachSampled draws a chunk at a time from each of the copies.
func (v *Verifier) eachSampled(ctx context.Context, do func([]events.CharID) error) error {
	random := rand.New(rand.NewPCG(v.Selection.Seed, 0))
	for left := v.Selection.Sample; left > 0; left -= chunk {
		for _, sampler := range v.samplers() {
			chars, err := sampler.Sample(ctx, random, min(left, chunk))
			if err != nil {
				return err
			}
			slices.Sort(chars)
			if chars = slices.Compact(chars); len(chars) == 0 {
				continue
			}
			if err := do(chars); err != nil {
				return err
			}
		}
	}
	return nil
}
