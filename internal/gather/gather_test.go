package gather_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/internal/gather"
)

// question is answered with its double.
type question struct{ number, answer int }

func (q *question) ask() { q.answer = 2 * q.number }

func waitFor(g *gather.Gatherer[*question], count int) {
	for g.Waiting() < count {
		runtime.Gosched()
	}
}

// However many ask, each gets its own answer, and there are never more under way, or
// more together, than may be.
func TestEachGetsItsOwnAnswer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		under, most := rapid.IntRange(1, 4).Draw(t, "under"), rapid.IntRange(1, 6).Draw(t, "most")
		count := rapid.IntRange(1, 60).Draw(t, "questions")
		var underWay, alone, together atomic.Int64
		begin := func() (end func()) {
			if n := underWay.Add(1); n > int64(under) {
				t.Errorf("%d under way, want %d at most", n, under)
			}
			runtime.Gosched()
			return func() { underWay.Add(-1) }
		}
		g := &gather.Gatherer[*question]{Under: under, Most: most, Together: func(batch []gather.One[*question]) {
			defer begin()()
			if len(batch) < 1 || len(batch) > most {
				t.Errorf("%d together, want 1 to %d", len(batch), most)
			}
			for _, one := range batch {
				one.What.ask()
				together.Add(1)
			}
		}}
		var all sync.WaitGroup
		for i := range count {
			all.Go(func() {
				own := &question{number: i}
				err := g.Do(context.Background(), own, func() {
					defer begin()()
					own.ask()
					alone.Add(1)
				})
				if err != nil || own.answer != 2*i {
					t.Errorf("question %d is answered with %d (%v)", i, own.answer, err)
				}
			})
		}
		all.Wait()
		g.Wait()
		if n := alone.Load() + together.Load(); n != int64(count) {
			t.Errorf("%d questions were asked, want %d", n, count)
		}
	})
}

// Who comes while as many are under way as may be goes together with the others who
// wait, as soon as one of these is answered; who leaves before gets no answer.
func TestThoseWhoWaitGoTogether(t *testing.T) {
	batches := make(chan []gather.One[*question], 10)
	g := &gather.Gatherer[*question]{Under: 1, Most: 10, Together: func(batch []gather.One[*question]) {
		for _, one := range batch {
			one.What.ask()
		}
		batches <- batch
	}}
	busy, free := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = g.Do(t.Context(), &question{}, func() { close(busy); <-free })
	})
	<-busy
	leaving, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	for i, ctx := range []context.Context{t.Context(), leaving, t.Context()} {
		all.Go(func() {
			err := g.Do(ctx, &question{number: i}, func() { t.Error("went alone") })
			if ctx == leaving {
				left <- err
			} else if err != nil {
				t.Errorf("question %d: %v", i, err)
			}
		})
		waitFor(g, i+1)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(free)
	batch := <-batches
	all.Wait()
	g.Wait()
	if len(batch) != 3 || len(batches) != 0 {
		t.Fatalf("%d and %d more batches, want all three together", len(batch), len(batches))
	}
	for i, one := range batch {
		if one.What.number != i || (one.Ctx == leaving) != (i == 1) {
			t.Errorf("question %d is at place %d", one.What.number, i)
		}
	}
}
