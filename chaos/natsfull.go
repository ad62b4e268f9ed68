package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
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
	if _, err := js.UpdateStream(mending, full); err != nil {
		return fmt.Errorf("take the room: %w", err)
	}
	pause(ctx, 2*time.Second+time.Duration(x.IntN(3000))*time.Millisecond)
	if _, err := js.UpdateStream(mending, wide); err != nil {
		return fmt.Errorf("give room: %w", err)
	}
	return nil
}
