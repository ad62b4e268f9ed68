package rig

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

const (
	// fillers encode and publish, each over a connection of its own and for its
	// own characters, so that a character's events stay in order.
	fillers = 2
	// fillWindow is after how many events a filler asks the stream whether they
	// are stored; fillWindows of them may be under way. The server drops what
	// more than 10,000 messages wait for one stream.
	fillWindow  = 500
	fillWindows = 4
	fillChunk   = 256 // events handed over at a time
)

// Fill publishes the events as gateways do, on sync.<scope>.<char_id>, and
// returns their number when the stream has stored all of them. It asks for an
// ack of each 500th only, since a connection's messages are stored in their
// order, and counts in the end. progress may be nil; it is told how many are
// published. Nobody else may publish meanwhile.
func (r *Rig) Fill(ctx context.Context, all iter.Seq[events.StateChanged], progress func(done int)) (int, error) {
	before, err := r.lastSequence(ctx)
	if err != nil {
		return 0, err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	var chunks [fillers]chan []events.StateChanged
	for i := range chunks {
		chunks[i] = make(chan []events.StateChanged, 8)
		group.Go(func() error { return r.publish(groupCtx, chunks[i]) })
	}
	done := deal(groupCtx, all, chunks[:], progress)
	if err := group.Wait(); err != nil {
		return 0, fmt.Errorf("fill the stream: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("fill the stream: %w", err)
	}
	return done, r.awaitStored(ctx, before, done)
}

// storeTimeout is how long the last events, which nobody acknowledges, may take
// to be stored.
const storeTimeout = 10 * time.Second

func (r *Rig) awaitStored(ctx context.Context, before uint64, want int) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	for {
		now, err := r.lastSequence(ctx)
		if err != nil {
			return err
		}
		if int(now-before) == want {
			return nil
		}
		if err := Rest(ctx, pollEvery); err != nil {
			return fmt.Errorf("fill the stream: %d events published, %d stored", want, now-before)
		}
	}
}

func (r *Rig) lastSequence(ctx context.Context) (uint64, error) {
	stream, err := r.JS.Stream(ctx, bus.StreamChanges)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", bus.StreamChanges, err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}

// deal hands the events to the fillers by character, and closes their channels.
func deal(ctx context.Context, all iter.Seq[events.StateChanged], to []chan []events.StateChanged, progress func(int)) (done int) {
	parts := make([][]events.StateChanged, len(to))
	send := func(i int) bool {
		select {
		case to[i] <- parts[i]:
			parts[i] = nil
			return true
		case <-ctx.Done():
			return false
		}
	}
	for e := range all {
		i := int(e.CharID) % len(to)
		if parts[i] = append(parts[i], e); len(parts[i]) >= fillChunk && !send(i) {
			break
		}
		if done++; progress != nil && done%10_000 == 0 {
			progress(done)
		}
	}
	for i := range to {
		if len(parts[i]) > 0 {
			send(i)
		}
		close(to[i])
	}
	return done
}

// publish sends what comes over a connection of its own.
func (r *Rig) publish(ctx context.Context, chunks <-chan []events.StateChanged) error {
	nc, err := nats.Connect(r.NATSURL(), nats.Name("bench fill"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	f := filler{nc: nc, js: js}
	for chunk := range chunks {
		for i := range chunk {
			if err := f.send(ctx, &chunk[i]); err != nil {
				return err
			}
		}
	}
	return f.settle(ctx, 0)
}

// filler publishes over one connection.
type filler struct {
	nc   *nats.Conn
	js   jetstream.JetStream
	sent int
	acks []jetstream.PubAckFuture // of the windows under way
}

func (f *filler) send(ctx context.Context, e *events.StateChanged) error {
	body, err := events.Encode(e)
	if err != nil {
		return err
	}
	subject := events.Subject(e.Scope, e.CharID)
	if f.sent++; f.sent%fillWindow != 0 {
		return f.nc.Publish(subject, body)
	}
	ack, err := f.js.PublishAsync(subject, body)
	if err != nil {
		return err
	}
	f.acks = append(f.acks, ack)
	return f.settle(ctx, fillWindows-1)
}

// settle waits until no more than so many windows are under way.
func (f *filler) settle(ctx context.Context, left int) error {
	if left == 0 {
		flushing, cancel := context.WithTimeout(ctx, storeTimeout)
		defer cancel()
		if err := f.nc.FlushWithContext(flushing); err != nil {
			return err
		}
	}
	for len(f.acks) > left {
		select {
		case <-f.acks[0].Ok():
			f.acks = f.acks[1:]
		case err := <-f.acks[0].Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
