package chaos

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/hot"
)

// savedPatience bounds how long what is answered may stay unsaved while parts
// are broken.
const savedPatience = time.Minute

// awaitSaved returns when all that was answered before the call is in
// PostgreSQL: no older mark stands in Redis, and savers have settled what the
// stream had; and Redis and the mirror both know what is open, which PostgreSQL does
// not. It returns early, with nil, when ctx ends; other faults may keep it waiting.
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
	js, leave, err := r.nats.jetStream()
	if err != nil {
		return err
	}
	defer leave()
	if err := streamSettled(ctx, js, target); err != nil {
		return err
	}
	if err := r.redisAnswers(ctx); err != nil {
		return err
	}
	store, err := hot.Open(r.redis.URL())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	kv, err := js.KeyValue(ctx, bucketMirror)
	if err != nil {
		return err
	}
	return errors.Join(marksGone(ctx, store, asked), mirrorFilled(ctx, store, kv, asked), redisFilled(ctx, store, kv))
}

// redisAnswers tries first: the client prints a line for each dial that fails.
func (r *rig) redisAnswers(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.redis.Addr())
	if err != nil {
		return err
	}
	return conn.Close()
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
func marksGone(ctx context.Context, store *hot.Store, asked events.Version) error {
	// The index says when the sweeper looks next, so all are listed.
	dirty, err := store.Overdue(ctx, time.Now().Add(24*time.Hour), 1<<20)
	if err != nil || len(dirty) == 0 {
		return err
	}
	marks, err := store.Marks(ctx, dirty)
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

// mirrorFilled looks for characters that the mirror shows at an older version than
// they entered what they are in, before a version. A mirror that was lost is filled by
// the sweeper.
func mirrorFilled(ctx context.Context, store *hot.Store, kv jetstream.KeyValue, asked events.Version) error {
	open, err := store.InContext(ctx)
	if err != nil {
		return err
	}
	for _, char := range open {
		live, err := store.Load(ctx, char, game.Want{})
		if err != nil {
			return err
		}
		shown, err := mirrored(ctx, kv, int64(char))
		if err != nil {
			return err
		}
		if is := live.Contexts.Version; shown.version < is && is <= asked {
			return fmt.Errorf("the mirror shows character %s at version %d, not at %d", char, shown.version, is)
		}
	}
	return nil
}

// redisFilled looks for characters that the mirror shows in something, and Redis, which
// lost its memory, does not know there yet. The sweeper brings them back.
func redisFilled(ctx context.Context, store *hot.Store, kv jetstream.KeyValue) error {
	keys, err := kv.ListKeys(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = keys.Stop() }()
	for key := range keys.Keys() {
		char, err := strconv.ParseInt(key, 10, 64)
		if err != nil {
			return fmt.Errorf("key of the mirror: %w", err)
		}
		shown, err := mirrored(ctx, kv, char)
		if err != nil {
			return err
		}
		if shown.text == "" {
			continue
		}
		live, err := store.Load(ctx, events.CharID(char), game.Want{})
		if err != nil {
			return err
		}
		if live.Contexts.Version < shown.version {
			return fmt.Errorf("redis has character %d at version %d, and the mirror shows it at %d in %s", char, live.Contexts.Version, shown.version, shown.text)
		}
	}
	return ctx.Err()
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
