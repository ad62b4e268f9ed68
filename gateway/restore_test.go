package gateway_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// meanwhileStream is a stream whose events take so long to read that something happens.
type meanwhileStream struct {
	gateway.Stream
	meanwhile func()
}

func (s *meanwhileStream) Retained(ctx context.Context, char events.CharID, since time.Time, yield func(*events.StateChanged)) error {
	err := s.Stream.Retained(ctx, char, since, yield)
	s.meanwhile()
	return err
}

// A character trades while its events are read, or its trade is in no event yet, because
// the stream did not answer: the items would be there twice.
func TestRestoreKnowsOfTradesThatItReadNoEventOf(t *testing.T) {
	t.Parallel()
	for name, published := range map[string]bool{"while they are read": true, "not published": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSystem(t)
			s.save()
			body := `{"changes":[{"item_id":"gem","delta":5}]}`
			at := s.want(200, "POST", "1/inventory", body).Version.Time()
			s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"rope","delta":1}]}`)
			trade := sync.OnceFunc(func() {
				s.stream.cut.Store(!published)
				s.wantTransfer(200, tradeBody(uuid.New(), 1, 2, "gem", 2))
				s.stream.cut.Store(false)
				if published {
					s.wantEqual() // nothing in Redis tells of it any more
				}
			})
			stream := &meanwhileStream{s.stream, func() {}}
			if published {
				stream.meanwhile = trade
			} else {
				trade()
			}
			service := s.serviceOn(stream)
			restored, err := service.Restore(t.Context(), 1, gateway.Restoration{At: at, Kept: s.bus.KeptSince})
			if !errors.As(err, new(*game.TradedError)) {
				t.Errorf("restored %+v, %v", restored, err)
			}
			if a, b := s.quantity(1, "hot", "gem"), s.quantity(2, "hot", "gem"); a != 3 || b != 2 {
				t.Errorf("%d and %d gems, want 3 and 2", a, b)
			}
		})
	}
}

// Where a character is as it was, nothing it does is ended: the call may be a repeat.
func TestRestoreOfNothingEndsNoFight(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	at := s.want(200, "POST", "1/inventory", `{"changes":[{"item_id":"gem","delta":5}]}`).Version.Time()
	fight := s.want(201, "POST", "1/contexts/combat", "")
	restored, err := s.service().Restore(t.Context(), 1, gateway.Restoration{At: at, Kept: s.bus.KeptSince, EndSessions: true})
	if err != nil || len(restored.Rows) > 0 {
		t.Errorf("restored %+v, %v", restored, err)
	}
	if open := s.look(1, "hot").Contexts[game.ContextCombat].SessionID; open != fight.SessionID {
		t.Errorf("the fight that is open is %s, want %s", open, fight.SessionID)
	}
}
