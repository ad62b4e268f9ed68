package hotpath

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/bench/load"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/usage"
)

// bareStory is what the bare handler is asked for, whatever the product is.
const bareStory = "vitals"

// side is one of the two that take turns, with what it has answered so far.
type side struct {
	addr, story string
	first       int64   // the lowest of its characters; 0 for the usual ones
	zipf        float64 // their skew; 0 is none
	result      load.Result
	cpu         usage.Times
}

// turns lets the product and the bare handler answer in turn; rate 0 is a
// closed loop.
func (m *meter) turns(ctx context.Context, story string, zipf, rate float64, turns int, length time.Duration) (product, bare side, err error) {
	product = side{addr: m.gateway.Addr, story: story, zipf: zipf, cpu: usage.Times{}}
	bare = side{addr: m.bareAddr, story: bareStory, cpu: usage.Times{}}
	for range turns {
		for _, s := range []*side{&product, &bare} {
			if err := m.turn(ctx, s, rate, length); err != nil {
				return product, bare, err
			}
		}
	}
	return product, bare, nil
}

func (m *meter) turn(ctx context.Context, s *side, rate float64, length time.Duration) error {
	w := load.Window{Addr: s.addr, FirstChar: s.first, Story: s.story, Rate: rate, Conns: openConns, For: length, Zipf: s.zipf}
	if rate == 0 {
		w.Conns = closedConns
	}
	before, err := usage.Sample(m.groups())
	if err != nil {
		return err
	}
	result, err := m.window(ctx, w)
	if err != nil {
		return err
	}
	after, err := usage.Sample(m.groups())
	if err != nil {
		return err
	}
	for name, spent := range after.Since(before) {
		s.cpu[name] += spent
	}
	s.result.Add(result)
	return nil
}

// closedTurns is how often each shows its highest rate.
const closedTurns = 2

// levels are the shares of the product's highest rate at which latencies are
// taken.
var levels = []float64{0.5, 0.8}

// hotToo are the stories that are played by hot characters, too, whose actions do
// not wait for each other, but depend on each other.
var hotToo = map[string]bool{"inventory": true, "keyed": true}

// hotSkew is how hot: one character has a sixth of the actions.
const hotSkew = 1.2

// savedMeanwhile are the stories that a saver goes with: a gateway reads the
// unsaved trades of a character with its items, and waits for the saver where it
// is asked for that.
var savedMeanwhile = map[string]bool{"transfers": true, "levels": true}

// story measures one story.
func (m *meter) story(ctx context.Context, story string) (rows []report.Row, err error) {
	if savedMeanwhile[story] {
		saver, err := m.rig.StartSaver(ctx, rig.Options{})
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, saver.Stop(ctx)) }()
	}
	product, bare, err := m.turns(ctx, story, 0, 0, closedTurns, m.Sizes.Closed)
	if err != nil {
		return nil, err
	}
	highest := product.result.PerSecond()
	m.highest[story] = highest
	m.sayf("%s: %.0f/s, (iv) %.0f/s", story, highest, bare.result.PerSecond())
	rows = append(rows, highestRows(story, product, bare)...)
	for _, level := range levels {
		product, bare, err := m.turns(ctx, story, 0, level*highest, m.Sizes.Turns, m.Sizes.Open)
		if err != nil {
			return rows, err
		}
		rows = append(rows, latencyRows(fmt.Sprintf("%s, %.0f %%", story, 100*level), story, product, bare)...)
	}
	if hotToo[story] {
		product, bare, err := m.turns(ctx, story, hotSkew, levels[0]*highest, m.Sizes.Turns, m.Sizes.Open)
		if err != nil {
			return rows, err
		}
		rows = append(rows, latencyRows(fmt.Sprintf("%s, hot characters, %.0f %%", story, 100*levels[0]), story, product, bare)...)
	}
	if err := m.finish(ctx, story); err != nil {
		return rows, err
	}
	return rows, m.settle(ctx)
}

// finish ends the stories under way, so that no session of this one is in the
// way of the next.
func (m *meter) finish(ctx context.Context, story string) error {
	return m.finishAt(ctx, story, m.gateway.Addr, 0)
}

func (m *meter) finishAt(ctx context.Context, story, addr string, firstChar int64) error {
	if len(load.Steps(story)) == 1 {
		return nil
	}
	_, err := m.window(ctx, load.Window{Addr: addr, FirstChar: firstChar, Story: story, Conns: closedConns, For: startTimeout, Finish: true})
	if err != nil {
		return fmt.Errorf("finish: %w", err)
	}
	return nil
}
