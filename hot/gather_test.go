package hot_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// gate holds the first calls that a client sends, as many as may be under way, and
// counts all of them. What a new connection sends by itself passes.
type gate struct {
	sent    atomic.Int64
	reached chan struct{}
	open    chan struct{}
}

func newGate() *gate { return &gate{reached: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) pass(cmd redis.Cmder) {
	if cmd.Name() != "fcall" {
		return
	}
	n := g.sent.Add(1)
	if n == hot.MostSending {
		close(g.reached)
	}
	if n <= hot.MostSending {
		<-g.open
	}
}

func (g *gate) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (g *gate) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		g.pass(cmd)
		return next(ctx, cmd)
	}
}

func (g *gate) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		g.pass(cmds[0])
		return next(ctx, cmds)
	}
}

// gated is a rig whose store is about to commit changes of first characters, as many
// as may be under way, and characters that others may change meanwhile.
func gated(t *testing.T, r *rig, count int) (g *gate, others []events.CharID, finish func()) {
	t.Helper()
	var first []*game.Change
	for range hot.MostSending {
		first = append(first, r.vitals(r.character(), 1))
	}
	for range count {
		others = append(others, r.character())
	}
	g = newGate()
	r.store.Client().AddHook(g)
	var commits sync.WaitGroup
	for _, change := range first {
		commits.Go(func() {
			_ = r.store.Commit(r.ctx, change, game.Request{}) // it only keeps the way busy
		})
	}
	<-g.reached
	return g, others, func() {
		close(g.open)
		commits.Wait()
	}
}

func TestCommitsThatWaitGoTogetherAndGetTheirOwnAnswers(t *testing.T) {
	r := newRig(t, stacktest.Redis(t))
	g, chars, finish := gated(t, r, 100)
	errs := make([]error, len(chars))
	var commits sync.WaitGroup
	for i, char := range chars {
		change := r.vitals(char, int32(i))
		if i%3 == 0 {
			change.Expect = map[game.Part]events.Version{game.PartVitals: 5}
		}
		commits.Go(func() { errs[i] = r.store.Commit(r.ctx, change, game.Request{}) })
	}
	r.store.AwaitGathered(len(chars))
	finish()
	commits.Wait()
	if sent := g.sent.Load(); sent != hot.MostSending+1 {
		t.Errorf("sent %d times, want once for each of the first and once for all others", sent)
	}
	for i, char := range chars {
		var moved *game.MovedError
		switch {
		case i%3 == 0 && !errors.As(errs[i], &moved):
			t.Errorf("change %d: got %v, want a MovedError", i, errs[i])
		case i%3 != 0 && errs[i] != nil:
			t.Errorf("change %d: %v", i, errs[i])
		case i%3 != 0 && r.load(char).Vitals.HP != int32(i):
			t.Errorf("character %d got the vitals of another", char)
		}
	}
}

func TestCallerThatLeavesHoldsUpNobody(t *testing.T) {
	r := newRig(t, stacktest.Redis(t))
	_, chars, finish := gated(t, r, 2)
	leaving, leave := context.WithCancel(r.ctx)
	gone := make(chan error, 1)
	go func() { gone <- r.store.Commit(leaving, r.vitals(chars[0], 1), game.Request{}) }()
	r.store.AwaitGathered(1)
	stays := make(chan error, 1)
	go func() { stays <- r.store.Commit(r.ctx, r.vitals(chars[1], 2), game.Request{}) }()
	r.store.AwaitGathered(2)
	leave()
	if err := <-gone; !events.IsUnavailable(err) || !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	finish()
	r.must(<-stays)
	equal(t, "vitals of who stayed", r.load(chars[1]).Vitals.HP, int32(2))
	if v := r.load(chars[0]).Vitals; v != nil {
		t.Errorf("what nobody waited for was sent: %+v", v)
	}
}

// hold keeps the first pipeline of calls back until it is let go. What a new connection
// sends by itself passes.
type hold struct {
	held                atomic.Bool
	reached, open, sent chan struct{}
}

func (h *hold) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *hold) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *hold) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if cmds[0].Name() != "fcall" || !h.held.CompareAndSwap(false, true) {
			return next(ctx, cmds)
		}
		defer close(h.sent)
		close(h.reached)
		<-h.open
		return next(ctx, cmds)
	}
}

// A commit that nobody waits for any more still is on its way with what it changes,
// whatever is committed meanwhile.
func TestCommitThatIsLeftBehindChangesWhatItWasToldTo(t *testing.T) {
	r := newRig(t, stacktest.Redis(t))
	const count = 50
	_, chars, finish := gated(t, r, 2*count)
	left, later := chars[:count], chars[count:]
	hold := &hold{reached: make(chan struct{}), open: make(chan struct{}), sent: make(chan struct{})}
	r.store.Client().AddHook(hold)
	leaving, leave := context.WithCancel(r.ctx)
	var commits sync.WaitGroup
	for i, char := range left {
		change := r.vitals(char, int32(i))
		commits.Go(func() {
			if err := r.store.Commit(leaving, change, game.Request{}); !errors.Is(err, context.Canceled) {
				t.Errorf("who left got %v", err)
			}
		})
	}
	r.store.AwaitGathered(count)
	finish()
	<-hold.reached
	leave()
	commits.Wait()
	for i, char := range later {
		change := r.vitals(char, int32(1000+i))
		commits.Go(func() {
			if err := r.store.Commit(r.ctx, change, game.Request{}); err != nil {
				t.Error(err)
			}
		})
	}
	commits.Wait()
	close(hold.open)
	<-hold.sent
	for i := range count {
		for char, hp := range map[events.CharID]int{left[i]: i, later[i]: 1000 + i} {
			if v := r.load(char).Vitals; v == nil || v.HP != int32(hp) {
				t.Errorf("character %d has vitals %+v, want hp %d", char, v, hp)
			}
		}
	}
}

func TestAllThatWaitAreToldThatRedisIsGone(t *testing.T) {
	server := stacktest.OwnRedis(t)
	r := newRig(t, server.URL())
	_, chars, finish := gated(t, r, 20)
	r.must(server.Kill())
	errs := make(chan error, len(chars))
	for _, char := range chars {
		change := r.vitals(char, 1)
		go func() { errs <- r.store.Commit(r.ctx, change, game.Request{}) }()
	}
	r.store.AwaitGathered(len(chars))
	finish()
	for range chars {
		select {
		case err := <-errs:
			if !events.IsUnavailable(err) {
				t.Errorf("got %v, want an UnavailableError", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a commit waits for a server that is gone")
		}
	}
}
