package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

func (r *rig) bucket() jetstream.KeyValue {
	r.t.Helper()
	kv, err := r.js.KeyValue(r.t.Context(), bus.BucketMirror)
	r.must(err)
	return kv
}

func contexts(v events.Version, active ...game.Context) game.Contexts {
	c := game.Contexts{Version: v, Active: map[game.Context]uuid.UUID{}}
	for _, context := range active {
		c.Active[context] = uuid.New()
	}
	return c
}

// shows fails where the mirror of the character is not want.
func (r *rig) shows(mirror *bus.Mirror, char events.CharID, want game.Contexts) {
	r.t.Helper()
	got, err := mirror.Get(r.t.Context(), char)
	r.must(err)
	equal(r.t, "mirror", got, want)
}

func TestMirrorShowsWhatWasPut(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	mirror := r.bus.Mirror()
	for char, want := range map[events.CharID]game.Contexts{
		1: contexts(7), 2: contexts(8, game.ContextCombat),
		3: contexts(9, game.ContextCombat, game.ContextInventory, game.ContextScenario),
	} {
		r.must(mirror.Put(t.Context(), char, want))
		r.shows(mirror, char, want)
		r.shows(connect(t, r.server.URL()).Mirror(), char, want) // of another process
	}
}

// The value is a contract with other services: the map ac:<char_id> as JSON.
func TestMirrorIsReadableByOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	shown := contexts(1790000000123456, game.ContextScenario)
	r.must(r.bus.Mirror().Put(t.Context(), 42, shown))

	entry, err := r.bucket().Get(t.Context(), "42")
	r.must(err)
	var got map[string]any
	r.must(json.Unmarshal(entry.Value(), &got))
	equal(t, "value", got, map[string]any{
		"char_id": 42.0, "version": 1790000000123456.0, "scenario_session_id": shown.Active[game.ContextScenario].String(),
	})
}

func TestMirrorWithoutTheCharacterShowsVersionZero(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	r.shows(r.bus.Mirror(), 42, contexts(0))
}

// What a process remembers of the mirror may be outdated in every way: another
// process has put something newer, or NATS has lost the bucket's values.
func TestMirrorThatRemembersWrongShowsWhatIsPut(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	mirror, other := r.bus.Mirror(), connect(t, r.server.URL()).Mirror()
	first, second, third := contexts(7, game.ContextCombat), contexts(8, game.ContextInventory), contexts(9)
	r.must(mirror.Put(t.Context(), 42, first))
	r.must(other.Put(t.Context(), 42, second))
	if got, err := mirror.Recent(t.Context(), 42); err != nil || got.Version != 7 {
		t.Fatalf("it remembers version %d, %v: the test is about 7", got.Version, err)
	}

	r.must(mirror.Put(t.Context(), 42, first))
	r.shows(mirror, 42, second)
	r.must(mirror.Put(t.Context(), 42, third))
	r.shows(mirror, 42, third)

	for name, lose := range map[string]func(context.Context, string, ...jetstream.KVDeleteOpt) error{
		"deleted": r.bucket().Delete, "purged": r.bucket().Purge,
	} {
		r.must(lose(t.Context(), "42"))
		r.must(mirror.Put(t.Context(), 42, third))
		got, err := mirror.Get(t.Context(), 42)
		if err != nil || got.Version != 9 {
			t.Errorf("%s: shows version %d, %v, want 9", name, got.Version, err)
		}
	}
}

// Whoever takes a character for one that was in no context before may be wrong.
func TestFirstContextsNeverHideNewerOnes(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	first := contexts(7, game.ContextCombat)
	r.must(r.bus.Mirror().PutFirst(t.Context(), 42, first))
	r.shows(r.bus.Mirror(), 42, first)

	newer := contexts(9, game.ContextInventory)
	r.must(r.bus.Mirror().PutFirst(t.Context(), 42, newer))
	r.shows(r.bus.Mirror(), 42, newer)

	r.must(r.bus.Mirror().PutFirst(t.Context(), 42, contexts(8)))
	r.shows(r.bus.Mirror(), 42, newer)
}

func TestMirrorNeverGoesBack(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	mirror := r.bus.Mirror()
	newer := contexts(9, game.ContextCombat)
	r.must(mirror.Put(t.Context(), 42, newer))

	r.must(mirror.Put(t.Context(), 42, contexts(8, game.ContextScenario)))
	r.must(mirror.Put(t.Context(), 42, contexts(9)))
	r.shows(mirror, 42, newer)

	newest := contexts(10)
	r.must(mirror.Put(t.Context(), 42, newest))
	r.shows(mirror, 42, newest)
}

// Gateways put what they committed at the same moment; the newest stays.
func TestConcurrentPutsEndAtTheHighestVersion(t *testing.T) {
	t.Parallel()
	const rounds, writers = 20, 8
	r := newRig(t, seldom)
	mirrors := make([]*bus.Mirror, writers)
	for i := range mirrors {
		mirrors[i] = connect(t, r.server.URL()).Mirror()
	}
	seed := uint64(os.Getpid())
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for round := range rounds {
		char := events.CharID(round + 1)
		var group errgroup.Group
		begin := make(chan struct{}) // together: all find the mirror empty
		for i, n := range random.Perm(writers) {
			group.Go(func() error {
				<-begin
				return mirrors[i].Put(bounded(t), char, game.Contexts{Version: events.Version(n + 1)})
			})
		}
		close(begin)
		r.must(group.Wait())
		r.shows(mirrors[0], char, contexts(writers))
	}
}

// bounded ends when something would never come.
func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func TestGarbageInTheMirrorIsOverwritten(t *testing.T) {
	t.Parallel()
	for name, garbage := range map[string]string{
		"empty": "", "text": "hello", "list": "[]", "other type": `{"version":"new"}`, "no session": `{"version":3,"combat_session_id":"me"}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, seldom)
			_, err := r.bucket().PutString(t.Context(), "42", garbage)
			r.must(err)
			mirror := r.bus.Mirror()
			r.shows(mirror, 42, contexts(0))

			want := contexts(2, game.ContextCombat)
			r.must(mirror.Put(bounded(t), 42, want))

			r.shows(mirror, 42, want)
		})
	}
}

func TestMirrorOfADeletedKeyShowsVersionZero(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	mirror := r.bus.Mirror()
	r.must(mirror.Put(t.Context(), 42, contexts(5, game.ContextCombat)))

	r.must(r.bucket().Delete(t.Context(), "42"))

	r.shows(mirror, 42, contexts(0))
}

// The mark of a deletion is a message of its own: what is put goes behind it.
func TestMirrorOfADeletedKeyShowsWhatIsPut(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	for char, lose := range map[events.CharID]func(context.Context, string, ...jetstream.KVDeleteOpt) error{
		1: r.bucket().Delete, 2: r.bucket().Purge,
	} {
		for version := events.Version(1); version <= 4; version++ {
			mirror := r.bus.Mirror() // which remembers nothing
			put := mirror.Put
			if version%2 == 0 {
				put = mirror.PutFirst
			}
			want := contexts(version, game.ContextCombat)

			r.must(put(bounded(t), char, want))

			r.shows(mirror, char, want)
			r.must(lose(t.Context(), char.String()))
		}
	}
}

func TestMirrorWithoutAServerIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newEmptyRig(t)
	mirror := r.bus.Mirror()
	_, err := mirror.Get(t.Context(), 42) // no bucket yet
	isUnavailable(t, err)
	r.must(r.bus.Ensure(t.Context(), seldom))
	r.must(mirror.Put(t.Context(), 42, contexts(1)))

	stop(t, r.server)

	within(t, "answers", func() {
		_, err := mirror.Get(t.Context(), 42)
		isUnavailable(t, err)
		isUnavailable(t, mirror.Put(t.Context(), 42, contexts(2)))
	})
}

// What the server refuses is another thing than a server that is away.
func TestFullMirrorIsNotUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	cfg := r.config(bus.StreamMirror)
	cfg.MaxBytes = 100
	_, err := r.js.UpdateStream(t.Context(), cfg)
	r.must(err)

	err = r.bus.Mirror().Put(t.Context(), 42, contexts(1, game.ContextCombat))

	var (
		refused *jetstream.APIError
		away    *events.UnavailableError
	)
	if !errors.As(err, &refused) || errors.As(err, &away) {
		t.Errorf("%v, want the server's refusal", err)
	}
}

// The caller's contexts are only read.
func TestPutLeavesItsArgumentAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, seldom)
	given := contexts(1, game.ContextCombat)
	before := maps.Clone(given.Active)

	r.must(r.bus.Mirror().Put(t.Context(), 42, given))

	equal(t, "contexts", given.Active, before)
}

func TestMirrorShowsWhatIsPutAfterADeletion(t *testing.T) {
	r := newRig(t, seldom)
	mirror := r.bus.Mirror()
	r.must(mirror.Put(t.Context(), 42, contexts(5, game.ContextCombat)))
	r.must(r.bucket().Delete(t.Context(), "42"))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	want := contexts(6)
	if err := mirror.Put(ctx, 42, want); err != nil {
		t.Fatal(err)
	}
	r.shows(mirror, 42, want)
}
