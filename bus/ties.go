package bus

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// carries is in the text of each event that carries trades. In others it costs
// their decoding.
var carries = []byte(`"transfers"`)

// Ties returns the trades that events carry which may not be saved yet and were
// stored before a moment of the server's clock. It reads all of those events, some
// hundred thousand a second.
func (b *Bus) Ties(ctx context.Context, before time.Time) (*game.Ties, error) {
	ties := new(game.Ties)
	start, err := b.tailBegins(ctx)
	if err != nil {
		return nil, fmt.Errorf("trades on their way: %w", err)
	}
	for _, scope := range []events.Scope{events.ScopeInventory, events.ScopeCombat} {
		err := b.scan(ctx, scope, start.floor+1, func(msg *jetstream.RawStreamMsg) bool {
			if msg.Time.After(before) {
				return false
			}
			ties.Add(carriedBy(msg))
			return true
		})
		if err != nil {
			return nil, fmt.Errorf("trades on their way: %w", err)
		}
	}
	return ties, nil
}

// carriedBy are the trades that a stored event carries.
func carriedBy(msg *jetstream.RawStreamMsg) []events.Transfer {
	if !bytes.Contains(msg.Data, carries) {
		return nil
	}
	e, ok := readEvent(msg)
	if !ok {
		return nil
	}
	return e.Transfers()
}
