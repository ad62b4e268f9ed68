package gateway_test

import (
	"context"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/savers"
)

// interrupted is the real stream, with something that happens just after the
// sweeper has asked it what is settled.
type interrupted struct {
	savers.CleanupStream
	then func()
}

func (i *interrupted) Settled(ctx context.Context) (last, settled uint64, err error) {
	last, settled, err = i.CleanupStream.Settled(ctx)
	i.then()
	return last, settled, err
}

// Redis is emptied while the sweeper asks whether everything is settled. The
// answer is of the time before, so what was lost is not called complete: an
// action is not decided on PostgreSQL alone while its newest event is in the
// stream.
func TestRedisEmptiedDuringTheSweepIsNotComplete(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	stop := s.save()
	s.want(200, "POST", "7/inventory?durability=cold", fiveGems)
	s.wantEqual()
	stop()
	sweeper := s.cleanup(time.Nanosecond)
	sweeper.Stream = &interrupted{s.bus, func() {
		a := s.want(200, "POST", "7/inventory", `{"changes":[{"item_id":"gem","delta":-4}]}`)
		if a.Durability != "stream" {
			t.Errorf("durability %q, want the change in the stream alone", a.Durability)
		}
		s.flush()
	}}
	if err := sweeper.Sweep(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}

	if complete, err := s.hot.Complete(t.Context()); complete || err != nil {
		t.Errorf("complete %v, %v", complete, err)
	}
	s.stream.away.Store(true)
	if r := s.do(0, "POST", "7/inventory", `{"changes":[{"item_id":"gem","delta":-5}]}`); r.Status != 503 {
		t.Errorf("4 of 5 gems were spent, and then 5: %d %s", r.Status, r.Body)
	}
	s.stream.away.Store(false)
	if n := s.quantity(7, "hot", "gem"); n != 1 {
		t.Errorf("%d gems, want 1", n)
	}
}
