package scale

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bench/live"
	"github.com/savepoint-games/savepoint/bench/report"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
)

const (
	leastSavers, mostSavers = 1, 4
	stopTimeout             = 20 * time.Second
	savedTimeout            = time.Minute
	savedPoll               = 100 * time.Millisecond
	longestGap              = 1.0 // s in which nothing is committed
)

// joining publishes at a rate while savers are started, stopped and killed, and
// looks for times in which nothing was committed. What a saver had in hand when
// it was killed comes again after the ack wait; nothing else may wait for it.
func (m *meter) joining(ctx context.Context) (_ []report.Row, err error) {
	s := m.Sizes
	m.sayf("scale: savers join and leave for %s", s.Joining)
	if err := m.rig.Reset(ctx); err != nil {
		return nil, err
	}
	if err := live.Populate(ctx, m.rig.DB, 1, int64(s.JoinRate*s.Joining.Seconds()*3/2)); err != nil {
		return nil, err
	}
	proxy, options, err := m.far(s.JoinDelay, 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, proxy.Close()) }()
	if s.JoinAckWait > 0 {
		options.Env = append(options.Env, "ACK_WAIT="+s.JoinAckWait.String())
	}
	crew := &crew{rig: m.rig, options: options, random: rand.New(rand.NewPCG(m.Seed, 0xc0ffee)), done: map[string]int{}}
	for range 2 {
		if err := crew.join(ctx); err != nil {
			return nil, err
		}
	}
	var sent live.Sent
	group, groupCtx := errgroup.WithContext(ctx)
	ends, over := context.WithCancel(groupCtx)
	group.Go(func() (err error) {
		defer over()
		sent, err = live.Publish(groupCtx, live.Load{
			NATS: m.rig.NATSURL(), Rate: s.JoinRate, For: s.Joining, Seed: m.Seed,
			Events: live.Strangers(workload.KindVitals, 1, m.Seed),
		})
		return err
	})
	group.Go(func() error { return crew.change(ctx, ends, s.JoinEvery) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	commits, err := m.awaitSaved(ctx, sent)
	if err != nil {
		return nil, err
	}
	return joinRows(s, crew.done, commits, sent), crew.leaveAll(ctx)
}

// awaitSaved waits for what dead savers had in hand, too.
func (m *meter) awaitSaved(ctx context.Context, sent live.Sent) ([]live.Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, savedTimeout)
	defer cancel()
	for {
		commits, err := live.Commits(ctx, m.rig.DB, 1, sent)
		if err == nil || ctx.Err() != nil {
			return commits, err
		}
		select {
		case <-time.After(savedPoll):
		case <-ctx.Done():
		}
	}
}

func joinRows(s Sizes, done map[string]int, commits []live.Commit, sent live.Sent) []report.Row {
	gap, at := live.LongestGap(commits, sent.From, sent.To)
	latencies := live.Latencies(commits)
	row := report.Row{
		Section: fmt.Sprintf("savers join and leave, %s away, %g/s", s.JoinDelay, s.JoinRate),
		Case:    fmt.Sprintf("%d join, %d end, %d killed", done["join"], done["end"], done["kill"]),
	}
	return []report.Row{
		row.With(gap.Seconds(), fmt.Sprintf("s, longest without a commit (after %.1f s)", at.Sub(sent.From).Seconds())).Below(longestGap),
		row.With(live.Percentile(latencies, 50).Seconds()*1000, "ms p50 publish to commit"),
		row.With(live.Percentile(latencies, 99).Seconds()*1000, "ms p99 publish to commit"),
		row.With(latencies[len(latencies)-1].Seconds(), "s, longest of an event, which a killed saver had in hand"),
	}
}

// crew is the savers that come and go.
type crew struct {
	rig     *rig.Rig
	options rig.Options
	random  *rand.Rand
	running []*rig.Program
	done    map[string]int // what happened how often
}

// change lets a saver join, end or be killed each time, until ends is done.
func (c *crew) change(ctx, ends context.Context, every time.Duration) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ends.Done():
			return nil
		case <-ticker.C:
		}
		var err error
		switch n := len(c.running); {
		case n <= leastSavers || n < mostSavers && c.random.IntN(2) == 0:
			err = c.join(ctx)
		case c.random.IntN(2) == 0:
			err = c.leave(ctx, "end")
		default:
			err = c.leave(ctx, "kill")
		}
		if err != nil {
			return err
		}
	}
}

func (c *crew) join(ctx context.Context) error {
	p, err := c.rig.StartSaver(ctx, c.options)
	if err != nil {
		return err
	}
	c.running = append(c.running, p)
	c.done["join"]++
	return nil
}

// leave lets the saver go that has been there longest, in one of two ways.
func (c *crew) leave(ctx context.Context, how string) error {
	p := c.running[0]
	c.running = c.running[1:]
	c.done[how]++
	if how == "kill" {
		return p.Kill()
	}
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return p.Stop(ctx)
}

func (c *crew) leaveAll(ctx context.Context) (err error) {
	for len(c.running) > 0 {
		err = errors.Join(err, c.leave(ctx, "end"))
	}
	return err
}
