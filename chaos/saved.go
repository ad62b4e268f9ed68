package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/hot"
)

// savedPatience bounds how long what is answered may stay unsaved while parts
// are broken.
const savedPatience = time.Minute

// awaitSaved returns when all that was answered before the call is in
// PostgreSQL: no older mark stands in Redis, and savers have settled what the
// stream had. It returns early, with nil, when ctx ends; other faults may keep
// it waiting.
func (r *rig) awaitSaved(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, savedPatience)
	defer cancel()
	asked := events.Version(time.Now().UnixMicro())
	var target uint64
	for {
		err := r.savedSince(waiting, asked, &target)
		if err == nil || ctx.Err() != nil {
			return nil
		}
		if waiting.Err() != nil {
			return fmt.Errorf("wait until what was answered is saved: %w", err)
		}
		pause(waiting, 50*time.Millisecond)
	}
}

// savedSince says what is not saved. target is the stream's last sequence at
// the first look.
func (r *rig) savedSince(ctx context.Context, asked events.Version, target *uint64) error {
	ctx, cancel := context.WithTimeout(ctx, promiseTimeout)
	defer cancel()
	nc, err := nats.Connect(r.nats.URL())
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	if err := streamSettled(ctx, js, target); err != nil {
		return err
	}
	return r.marksGone(ctx, asked)
}

func streamSettled(ctx context.Context, js jetstream.JetStream, target *uint64) error {
	stream, err := js.Stream(ctx, streamChanges)
	if err != nil {
		return err
	}
	last := stream.CachedInfo().State.LastSeq
	if *target == 0 || *target > last { // a new stream counts from 1
		*target = last
	}
	consumers := stream.ListConsumers(ctx)
	for info := range consumers.Info() {
		behind := info.AckFloor.Stream < *target && info.NumPending+uint64(info.NumAckPending) > 0
		if strings.HasPrefix(info.Name, "saver-") && behind {
			return fmt.Errorf("%s is at %d of %d", info.Name, info.AckFloor.Stream, *target)
		}
	}
	return consumers.Err()
}

// marksGone looks for marks that are older than a version.
func (r *rig) marksGone(ctx context.Context, asked events.Version) error {
	// The client prints a line for each dial that fails.
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.redis.Addr())
	if err != nil {
		return err
	}
	_ = conn.Close()
	store, err := hot.Open(r.redis.URL())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	// The index says when the sweeper looks next, so all are listed.
	dirty, err := store.Overdue(ctx, time.Now().Add(24*time.Hour), 1<<20)
	if err != nil || len(dirty) == 0 {
		return err
	}
	marks, err := store.MarksOf(ctx, dirty)
	if err != nil {
		return err
	}
	for char, rows := range marks {
		for row, version := range rows {
			if version <= asked {
				return errors.New("character " + char.String() + " has an unsaved " + string(row))
			}
		}
	}
	return nil
}

// losesStream names the faults that take from NATS what it had stored.
var losesStream = []string{"nats-empty", "nats-disk"}

// besides lists what a fault breaks, or relies on, beside its own part.
//
//   - Two of Redis, NATS and PostgreSQL must not lose what they had at once: each
//     is mended from the others.
//   - A replay needs the stream.
func besides(name string) (parts []string) {
	if losesCold(name) {
		parts = append(parts, "keys", "nats")
	}
	if slices.Contains(losesStream, name) {
		parts = append(parts, "keys")
	}
	return parts
}
