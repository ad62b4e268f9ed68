package baseline

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

func runStream(ctx context.Context, c Config) (r Result, err error) {
	policy := jetstream.AckExplicitPolicy
	if c.AckAll {
		policy = jetstream.AckAllPolicy
	}
	consumer, nc, done, err := subscribe(ctx, c, policy)
	if err != nil {
		return r, err
	}
	defer done()
	clock, err := startClock(c.Servers)
	if err != nil {
		return r, err
	}
	group, working := errgroup.WithContext(ctx)
	batches := make(chan []jetstream.Msg, 1)
	group.Go(func() error { return fetchAll(working, consumer, c.Workload.Events, c.Batch, batches) })
	group.Go(func() error {
		for msgs := range batches {
			if c.AckAll {
				msgs = msgs[len(msgs)-1:]
			}
			for _, msg := range msgs {
				if err := msg.Ack(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return r, err
	}
	if err := awaitAcks(ctx, consumer, nc, c.Workload.Events); err != nil {
		return r, err
	}
	return clock.stop(c.Workload.Events)
}
