package baseline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// partitions is how many loops there are, each with its own characters.
const partitions = 2

// partStream is a copy of the events by partition, made before the clock starts.
const partStream = consumerName + "-parts"

func runLoop(ctx context.Context, c Config) (r Result, err error) {
	nc, err := nats.Connect(c.NATS, nats.Name(consumerName))
	if err != nil {
		return r, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return r, err
	}
	counts, err := split(ctx, js, c)
	if err != nil {
		return r, fmt.Errorf("split the stream: %w", err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
		defer cancel()
		err = errors.Join(err, js.DeleteStream(ctx, partStream))
	}()
	consumers, err := partConsumers(ctx, js)
	if err != nil {
		return r, err
	}
	pool, err := openPool(ctx, c.Postgres, partitions)
	if err != nil {
		return r, err
	}
	defer pool.Close()
	clock, err := startClock(c.Servers)
	if err != nil {
		return r, err
	}
	group, working := errgroup.WithContext(ctx)
	for part, count := range counts {
		group.Go(func() error { return drainPart(working, consumers[part], pool, count, c.Batch) })
	}
	if err := group.Wait(); err != nil {
		return r, err
	}
	return clock.stop(c.Workload.Events)
}

func partFilter(part int) string { return fmt.Sprintf("part.%d.>", part) }

// partsOf is where events go that filterOf matches.
func partsOf(c Config) string {
	if c.Workload.Kind == workload.KindMix {
		return fmt.Sprintf("part.{{partition(%d,2)}}.{{wildcard(1)}}.{{wildcard(2)}}", partitions)
	}
	return fmt.Sprintf("part.{{partition(%d,1)}}.{{wildcard(1)}}", partitions)
}

// split copies the events into a stream whose subjects begin with the partition
// of their character, and returns how many there are of each.
func split(ctx context.Context, js jetstream.JetStream, c Config) (counts [partitions]int, err error) {
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: partStream,
		Sources: []*jetstream.StreamSource{{
			Name: bus.StreamChanges,
			SubjectTransforms: []jetstream.SubjectTransformConfig{{
				Source: filterOf(c), Destination: partsOf(c),
			}},
		}},
	})
	if err != nil {
		return counts, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		sum := 0
		for part := range counts {
			info, err := stream.Info(ctx, jetstream.WithSubjectFilter(partFilter(part)))
			if err != nil {
				return counts, err
			}
			counts[part] = 0
			for _, n := range info.State.Subjects {
				counts[part] += int(n)
			}
			sum += counts[part]
		}
		if sum >= c.Workload.Events {
			return counts, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// partConsumers makes a consumer of each partition.
func partConsumers(ctx context.Context, js jetstream.JetStream) (all [partitions]jetstream.Consumer, err error) {
	for part := range all {
		all[part], err = js.CreateConsumer(ctx, partStream, jetstream.ConsumerConfig{
			Durable: fmt.Sprintf("part-%d", part), FilterSubject: partFilter(part), AckPolicy: jetstream.AckAllPolicy,
			AckWait: time.Minute, MaxAckPending: maxAckPending,
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// drainPart is the loop: fetch, decode, fold, save, one ack.
func drainPart(ctx context.Context, consumer jetstream.Consumer, pool *pgxpool.Pool, count, batch int) error {
	known := queuers()
	batches := make(chan []jetstream.Msg, 1)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return fetchAll(ctx, consumer, count, batch, batches) })
	group.Go(func() error {
		for msgs := range batches {
			batch, err := decodeAll(msgs)
			if err != nil {
				return err
			}
			if err := saveBatch(ctx, pool, known, batch); err != nil {
				return err
			}
			if err := msgs[len(msgs)-1].DoubleAck(ctx); err != nil {
				return fmt.Errorf("acknowledge %d events: %w", len(msgs), err)
			}
		}
		return nil
	})
	return group.Wait()
}

func decodeAll(msgs []jetstream.Msg) (batch []events.StateChanged, err error) {
	batch = make([]events.StateChanged, len(msgs))
	for i, msg := range msgs {
		if err = events.DecodeInto(msg.Data(), &batch[i]); err != nil {
			return nil, err
		}
	}
	return batch, nil
}
