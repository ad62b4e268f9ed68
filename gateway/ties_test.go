package gateway_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// countingTies is the real stream, and counts the readings of the trades on their way.
type countingTies struct {
	gateway.Stream
	readings atomic.Int64
}

func (c *countingTies) Ties(ctx context.Context, before time.Time) (*game.Ties, error) {
	c.readings.Add(1)
	return c.Stream.Ties(ctx, before)
}

// The trades on their way are read once for all slots of a cluster, few of which have
// been asked for anything before; and again when a server has lost its memory.
func TestOneReadingOfTheTradesServesAllSlots(t *testing.T) {
	t.Parallel()
	s := newSystemOn(t, stacktest.OwnRedisCluster(t).URL())
	stream := &countingTies{Stream: s.stream}
	service := s.service()
	service.Stream = stream
	const slots = 100 // all but a few characters have one of their own
	for round := range 2 {
		before := stream.readings.Load()
		for i := range events.CharID(slots) {
			s.gem(service, 7000+i)
		}
		// A machine that stands still for a moment lets a beginning look younger than it is.
		if n := stream.readings.Load() - before; n < 1 || n > slots/4 {
			t.Errorf("round %d: the trades were read %d times for %d slots", round, n, slots)
		}
		s.flush()
	}
}
