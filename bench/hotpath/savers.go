package hotpath

import (
	"context"
	"fmt"
	"time"

	"github.com/savepoint-games/savepoint/bench/rig"
)

const (
	settleTimeout = 5 * time.Minute
	settlePoll    = 50 * time.Millisecond
)

// settle lets a saver save all that waits, so that what is measured next finds
// neither a backlog nor dirty marks.
func (m *meter) settle(ctx context.Context) error {
	saver, err := m.rig.StartSaver(ctx, rig.Options{})
	if err != nil {
		return err
	}
	if err := m.awaitSettled(ctx); err != nil {
		return err
	}
	return saver.Stop(ctx)
}

// awaitSettled returns when nothing waits, twice in a row: the consumers' counts
// follow what is stored by some milliseconds.
func (m *meter) awaitSettled(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for quiet := 0; quiet < 2; {
		waiting, err := m.waiting(ctx)
		if err != nil {
			return err
		}
		if quiet++; waiting > 0 {
			quiet = 0
		}
		if err := rig.Rest(ctx, settlePoll); err != nil {
			return fmt.Errorf("wait until all is saved: %w; %d events are left", err, waiting)
		}
	}
	return nil
}

func (m *meter) waiting(ctx context.Context) (int, error) {
	b, err := m.rig.Backlog(ctx)
	return b.Waiting + b.InFlight, err
}
