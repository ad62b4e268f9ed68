package gateway

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/recent"
)

// ties remembers which trades the events carry that were on their way when Redis
// lost its memory, by the token of its new beginning. Whoever is joined after that
// loss is told of its trades, whichever side's events carry them: else one side
// would have a trade that the other one has not.
type ties struct {
	asking singleflight.Group // one reading at a time, for all who wait
	known  *recent.Map[string, knownTies]
}

type knownTies struct {
	trades *game.Ties
	at     time.Time
}

const (
	// mostBeginnings is more than a cluster has servers.
	mostBeginnings = 64
	// tiesAge is how long they are remembered: what is saved by then costs memory.
	tiesAge = time.Minute
	// tiesTimeout bounds the reading: half a million events took 2 s.
	tiesTimeout = time.Minute
	// tiesMargin is more than the clocks of a gateway and of NATS differ.
	tiesMargin = time.Minute
)

func newTies() *ties { return &ties{known: recent.NewMap[string, knownTies](mostBeginnings)} }

// errTies is the reason for a pause while they are read.
var errTies = errors.New("the trades on their way are being read, as Redis has lost its memory; repeat the request")

// tiesOf returns what the trades on their way know of a character. What was
// committed before Redis began, the stream has stored by the end of the fence.
func (s *Service) tiesOf(ctx context.Context, char events.CharID, begun beginning) (*game.State, error) {
	if known, ok := s.ties.known.Get(begun.token); ok && time.Since(known.at) < tiesAge {
		return known.trades.State(char), nil
	}
	answer := s.ties.asking.DoChan(begun.token, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tiesTimeout)
		defer cancel()
		trades, err := s.Stream.Ties(ctx, begun.at.Add(s.Fence+tiesMargin))
		if err == nil {
			s.ties.known.Put(begun.token, knownTies{trades, time.Now()})
		}
		return trades, err
	})
	select {
	case a := <-answer:
		if a.Err != nil {
			return nil, a.Err
		}
		return a.Val.(*game.Ties).State(char), nil
	case <-ctx.Done():
		return nil, events.Unavailable("nats", errTies)
	}
}
