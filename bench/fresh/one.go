package fresh

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

const (
	oneName     = "bench-one"
	oneWorkers  = 32
	onePrefetch = 512 // messages that wait in the client, so that no worker waits for the stream
)

// oneLoop is baseline (i) for events as they come: 32 workers; each event is
// handed out by one consumer that prefetches, decoded, saved in a transaction of
// its own by the product's statements, and acknowledged.
type oneLoop struct {
	consuming jetstream.ConsumeContext
	msgs      chan jetstream.Msg
	workers   sync.WaitGroup
	mu        sync.Mutex // guards errs
	errs      []error
}

func startOne(ctx context.Context, r *rig.Rig) (*oneLoop, error) {
	consumer, err := r.JS.CreateConsumer(ctx, bus.StreamChanges, jetstream.ConsumerConfig{
		Durable: oneName, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 80_000,
	})
	if err != nil {
		return nil, fmt.Errorf("start (i): %w", err)
	}
	l := &oneLoop{msgs: make(chan jetstream.Msg, oneWorkers)}
	known := map[events.Scope]savers.Saver{
		events.ScopeVitals: savers.VitalsStateSaver{}, events.ScopeInventory: savers.InventoryStateSaver{},
		events.ScopeCombat: savers.CombatStateSaver{}, events.ScopeScenario: savers.ScenarioStateSaver{},
	}
	for range oneWorkers {
		l.workers.Go(func() {
			for msg := range l.msgs {
				if err := saveOne(ctx, r, known, msg); err != nil {
					l.failed(err)
				}
			}
		})
	}
	l.consuming, err = consumer.Consume(func(msg jetstream.Msg) { l.msgs <- msg }, jetstream.PullMaxMessages(onePrefetch))
	if err != nil {
		return nil, fmt.Errorf("start (i): %w", errors.Join(err, l.end()))
	}
	return l, nil
}

func saveOne(ctx context.Context, r *rig.Rig, known map[events.Scope]savers.Saver, msg jetstream.Msg) error {
	e, err := events.Decode(msg.Data())
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, r.DB, func(tx pgx.Tx) error {
		return known[e.Scope].Save(ctx, tx, []events.StateChanged{e})
	})
	if err != nil {
		return fmt.Errorf("save one %s event: %w", e.Scope, err)
	}
	return msg.Ack()
}

func (l *oneLoop) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

// stop ends the loop; events that failed are its error.
func (l *oneLoop) stop() error {
	l.consuming.Stop()
	<-l.consuming.Closed()
	return l.end()
}

func (l *oneLoop) end() error {
	close(l.msgs)
	l.workers.Wait()
	return errors.Join(l.errs...)
}
