package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// natsFull takes the room from the stream of changes for 2 to 5 s: it refuses
// what is published. The sweeper makes room by dropping what is saved.
func natsFull(ctx context.Context, r *rig, x *rand.Rand) error {
	mending, cancel := context.WithTimeout(context.WithoutCancel(ctx), startTimeout)
	defer cancel()
	js, leave, err := r.nats.jetStream()
	if err != nil {
		return err
	}
	defer leave()
	stream, err := js.Stream(mending, streamChanges)
	if err != nil {
		return err
	}
	r.streamLost.Store(true)
	wide := stream.CachedInfo().Config
	full := wide
	full.MaxBytes = int64(max(1, stream.CachedInfo().State.Bytes))
	if err := updateStream(mending, js, full); err != nil {
		return fmt.Errorf("take the room: %w", err)
	}
	pause(ctx, 2*time.Second+time.Duration(x.IntN(3000))*time.Millisecond)
	if err := updateStream(mending, js, wide); err != nil {
		return fmt.Errorf("give room: %w", err)
	}
	return nil
}

// updateStream asks again where there is no answer: servers of a cluster that have just
// found each other again may lose one.
func updateStream(ctx context.Context, js jetstream.JetStream, cfg jetstream.StreamConfig) error {
	for {
		asking, cancel := context.WithTimeout(ctx, updateTimeout)
		_, err := js.UpdateStream(asking, cfg)
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
}

const updateTimeout = 5 * time.Second
