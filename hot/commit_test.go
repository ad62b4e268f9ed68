package hot_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// A change that depends on a part is refused when somebody else has changed
// that part meanwhile, and nothing of it is written.
func TestChangeOfAPartThatMovedWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		for _, part := range game.Parts {
			t.Run(string(part), func(t *testing.T) {
				r := r.in(t)
				char := r.character()
				first := everyPart(char, r.next())
				r.commit(first)
				second := everyPart(char, r.next())
				r.commit(second)

				late := everyPart(char, r.next())
				late.Expect = map[game.Part]events.Version{part: first.Version}
				r.unchanged(func() {
					r.moved(r.store.Commit(r.ctx, late, game.Request{Key: "late", Record: "late"}), second.Version)
				})

				// Decided again, it goes through.
				late.Expect[part] = second.Version
				r.commit(late)
			})
		}
	})
}

// Versions tell copies of one join apart and no others: what was joined anew may
// have the same versions and other rows.
func TestChangeOfAnotherCopyWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		first := everyPart(char, r.next())
		r.commit(first)
		before := r.load(char)
		r.must(r.store.CommitJoin(r.ctx, &before.State, &before.State, game.Joining{}))
		after := r.load(char)
		equal(t, "parts", after.Parts, before.Parts)

		late := everyPart(char, r.next())
		late.Expect = before.Parts
		late.Copy = before.Copy
		r.unchanged(func() { r.moved(r.store.Commit(r.ctx, late, game.Request{}), first.Version) })
		late.Copy = after.Copy
		r.commit(late)
	})
}

// One moved part is enough, wherever it stands among those that are expected.
func TestOneMovedPartAmongMatchingOnesIsEnough(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		first := everyPart(char, r.next())
		r.commit(first)
		for _, moved := range game.Parts {
			late := everyPart(char, r.next())
			late.Expect = make(map[game.Part]events.Version)
			for _, part := range game.Parts {
				late.Expect[part] = first.Version
			}
			late.Expect[moved]--

			r.unchanged(func() { r.moved(r.store.Commit(r.ctx, late, game.Request{}), first.Version) })
		}
	})
}

func TestChangeOfAnotherPartDoesNotDisturb(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		bag := r.items(char, game.ItemDelta{ItemID: "potion", Delta: 5}) // decided on an empty bag

		r.commit(r.vitals(char, 10))
		bag.Version = r.next()
		r.commit(bag)

		if got := r.load(char).Items["potion"].Quantity; got != 5 {
			t.Errorf("%d potions, want 5", got)
		}
	})
}

// A part that nobody ever changed is expected to be absent.
func TestPartThatAppearedMeanwhileHasMoved(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		late := r.items(char, game.ItemDelta{ItemID: "potion", Delta: 5})
		first := r.items(char, game.ItemDelta{ItemID: "potion", Delta: 7})
		r.commit(first)

		late.Version = r.next()
		r.unchanged(func() { r.moved(r.store.Commit(r.ctx, late, game.Request{}), first.Version) })
	})
}

func TestVersionThatDoesNotRiseWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		old := r.next()
		newest := r.vitals(char, 1)
		r.commit(newest)

		for _, version := range []events.Version{1, old, newest.Version - 1, newest.Version} {
			late := everyPart(char, version) // expects nothing
			r.unchanged(func() {
				r.moved(r.store.Commit(r.ctx, late, game.Request{Key: "late", Record: "late"}), newest.Version)
			})
			r.unchanged(func() { r.moved(r.store.CommitBlind(r.ctx, late, game.Request{}), newest.Version) })
		}
	})
}

// One bad clock must not freeze a character in the future. The clock of Redis is
// the judge; here it is the same as ours.
func TestVersionFarAheadOfTheClockWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		ahead := events.Version(time.Now().Add(events.MaxAhead + time.Minute).UnixMicro())
		r.unchanged(func() {
			err := r.store.Commit(r.ctx, everyPart(char, ahead), game.Request{Key: "ahead", Record: "ahead"})
			if !errors.Is(err, game.ErrAhead) {
				t.Errorf("got %v, want ErrAhead", err)
			}
			if err := r.store.CommitBlind(r.ctx, everyPart(char, ahead), game.Request{}); !errors.Is(err, game.ErrAhead) {
				t.Errorf("blind: got %v, want ErrAhead", err)
			}
		})

		near := events.Version(time.Now().Add(events.MaxAhead - time.Minute).UnixMicro())
		r.commit(everyPart(char, near))
	})
}

func TestChangeOfAnUnknownCharacterIsUnverified(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.newcomer()
		r.unchanged(func() {
			err := r.store.Commit(r.ctx, everyPart(char, r.next()), game.Request{Key: "first", Record: "first"})
			if !errors.Is(err, game.ErrUnverified) {
				t.Errorf("got %v, want ErrUnverified", err)
			}
		})

		r.must(r.store.CommitJoin(r.ctx, &game.State{Char: char}, &game.State{Char: char}, game.Joining{}))

		r.commit(everyPart(char, r.next()))
		if loaded := r.load(char); !loaded.Verified || !loaded.Known {
			t.Errorf("known %v, verified %v", loaded.Known, loaded.Verified)
		}
	})
}

// A blind write is taken while nobody can verify the copy, and does not make it
// look verified.
func TestBlindWriteLeavesTheCopyUnverified(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.newcomer()
		blind := r.vitals(char, 7)

		r.must(r.store.CommitBlind(r.ctx, blind, game.Request{}))

		loaded := r.load(char)
		if !loaded.Known || loaded.Verified {
			t.Errorf("known %v, verified %v", loaded.Known, loaded.Verified)
		}
		equal(t, "vitals", loaded.Vitals, blind.Vitals)
		equal(t, "marks", loaded.Dirty, events.RowVersions{events.RowVitals: blind.Version})
		if err := r.store.Commit(r.ctx, r.vitals(char, 8), game.Request{}); !errors.Is(err, game.ErrUnverified) {
			t.Errorf("got %v, want ErrUnverified", err)
		}
	})
}

func TestJoinWritesTheJoinedCopyAndVerifiesIt(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		// Redis has vitals that nobody verified; PostgreSQL has all the rest.
		char := r.newcomer()
		blind := r.vitals(char, 7)
		r.must(r.store.CommitBlind(r.ctx, blind, game.Request{}))
		older := asState(everyPart(char, blind.Version-50))
		loaded := r.load(char)
		joined := &game.State{Char: char}
		game.Join(joined, &loaded.State)
		game.Join(joined, &older)
		dirty := []events.Row{{Key: events.RowItem("sword"), Version: older.Version}}

		r.must(r.store.CommitJoin(r.ctx, &loaded.State, joined, game.Joining{Dirty: dirty}))

		got := r.load(char)
		if !got.Verified {
			t.Error("not verified")
		}
		equal(t, "vitals", got.Vitals, blind.Vitals)
		equal(t, "progress", got.Progress, older.Progress)
		equal(t, "items", got.Items, older.Items)
		equal(t, "scenarios", got.Scenarios, older.Scenarios)
		equal(t, "contexts", got.Contexts.Active, older.Contexts.Active)
		equal(t, "marks", got.Dirty, events.RowVersions{
			events.RowVitals: blind.Version, events.RowItem("sword"): older.Version,
		})
		if got.Version != blind.Version {
			t.Errorf("version %d, want the highest of both %d", got.Version, blind.Version)
		}
		r.commit(r.vitals(char, 8))
	})
}

// A session that the join found to have ended goes, and its context closes.
func TestJoinRemovesWhatItFoundEnded(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		change := everyPart(char, r.next())
		r.commit(change)
		loaded := r.load(char)
		joined := loaded.State
		joined.Sessions, joined.Contexts.Active = nil, nil

		r.must(r.store.CommitJoin(r.ctx, &loaded.State, &joined, game.Joining{}))

		if left := r.keys(fmt.Sprintf("{ac:%d}:session:", char)); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
		if active := r.load(char).Contexts.Active; len(active) > 0 {
			t.Errorf("active are %v", active)
		}
		if r.listed("open", char) {
			t.Error("still listed as in a context")
		}
	})
}

// What was committed between the load and the join must not be lost.
func TestJoinOverAChangeMadeMeanwhileWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.newcomer()
		loaded := r.load(char)
		meanwhile := r.vitals(char, 7)
		r.must(r.store.CommitBlind(r.ctx, meanwhile, game.Request{}))

		joined := asState(everyPart(char, r.next()))
		r.unchanged(func() {
			r.moved(r.store.CommitJoin(r.ctx, &loaded.State, &joined, game.Joining{}), meanwhile.Version)
		})
	})
}

// Eight players' devices add to one item at once: each addition counts once.
func TestConcurrentChangesAllCount(t *testing.T) {
	const workers, each = 8, 100
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		var group sync.WaitGroup
		for range workers {
			group.Go(func() {
				for range each {
					if err := addOne(r.ctx, r.store, char); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		group.Wait()

		if got := r.load(char).Items["coin"].Quantity; got != workers*each {
			t.Errorf("%d coins, want %d", got, workers*each)
		}
	})
}

// addOne adds a coin; where somebody was faster it loads and decides again.
func addOne(ctx context.Context, store *hot.Store, char events.CharID) error {
	var floor events.Version
	for {
		loaded, err := store.Load(ctx, char, game.Want{Items: []string{"coin"}})
		if err != nil {
			return err
		}
		version := events.NextVersion(max(floor, loaded.Version), time.Now())
		change, err := game.ChangeItems(&loaded.State, version, []game.ItemDelta{{ItemID: "coin", Delta: 1}})
		if err != nil {
			return err
		}
		err = store.Commit(ctx, change, game.Request{})
		var moved *game.MovedError
		if !errors.As(err, &moved) {
			return err
		}
		floor = moved.Version
	}
}

// After a restart a copy may be older than what was acknowledged, even if, as
// here, it is not: it has to be joined first.
func TestCopyIsUnverifiedAfterARestart(t *testing.T) {
	t.Parallel()
	server := stacktest.OwnRedis(t)
	r := newRig(t, server.URL())
	char := r.character()
	change := everyPart(char, r.next())
	r.must(r.store.Commit(r.ctx, change, game.Request{Key: "k", Record: "before"}))

	restart(t, r, server)

	loaded := r.load(char)
	if !loaded.Known || loaded.Verified {
		t.Errorf("known %v, verified %v", loaded.Known, loaded.Verified)
	}
	equal(t, "state", loaded.State, asState(change))
	r.unchanged(func() {
		if err := r.store.Commit(r.ctx, r.vitals(char, 2), game.Request{}); !errors.Is(err, game.ErrUnverified) {
			t.Errorf("got %v, want ErrUnverified", err)
		}
		// A repeat is a repeat all the same.
		wantReplay(t, r.store.Commit(r.ctx, r.vitals(char, 2), game.Request{Key: "k"}), "before")
	})

	r.must(r.store.CommitJoin(r.ctx, &loaded.State, &loaded.State, game.Joining{}))

	r.commit(r.vitals(char, 3))
	if !r.load(char).Verified {
		t.Error("not verified after the join")
	}
}

// restart stops the server and starts it again on the same data.
func restart(t *testing.T, r *rig, server *stack.Redis) {
	t.Helper()
	r.must(server.Stop(r.ctx))
	stacktest.RestartRedis(t, server.Config())
	stacktest.Eventually(t, "an answer after the restart", func() bool { return r.store.Ping(r.ctx) == nil && r.raw.Ping(r.ctx).Err() == nil })
}

func TestStoreThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	server := stacktest.OwnRedis(t)
	r := newRig(t, server.URL())
	char := r.character()
	change := r.vitals(char, 1)
	r.must(r.store.Ping(r.ctx))

	r.must(server.Kill())
	now := time.Now()
	errs := map[string]error{
		"ping":     r.store.Ping(r.ctx),
		"commit":   r.store.Commit(r.ctx, change, game.Request{}),
		"join":     r.store.CommitJoin(r.ctx, &game.State{Char: char}, &game.State{Char: char}, game.Joining{}),
		"saved":    r.store.Saved(r.ctx, change.Events),
		"postpone": r.store.PostponeOverdue(r.ctx, map[events.CharID]time.Time{char: now}),
		"each":     r.store.Each(r.ctx, func(events.CharID) bool { return true }),
	}
	_, errs["load"] = r.store.Load(r.ctx, char, game.Everything)
	_, errs["marks"] = r.store.Marks(r.ctx, []events.CharID{char})
	_, errs["overdue"] = r.store.Overdue(r.ctx, now, 1)
	_, errs["lost"] = r.store.Lost(r.ctx, now, 1)
	_, errs["idle"] = r.store.Idle(r.ctx, now, 1)
	_, errs["evict"] = r.store.Evict(r.ctx, char, now)
	_, errs["count"] = r.store.CountDirty(r.ctx)
	for name, err := range errs {
		if !events.IsUnavailable(err, events.Redis) {
			t.Errorf("%s: got %v, want an UnavailableError of redis", name, err)
		}
	}

	// When it is back the same store works.
	stacktest.RestartRedis(t, server.Config())
	stacktest.Eventually(t, "an answer", func() bool { return r.store.Ping(r.ctx) == nil })
	r.load(char)
}

// What cannot be written is no trouble of Redis, and nothing of it is written.
func TestChangeThatCannotBeEncodedWritesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		broken := everyPart(char, r.next())
		for id, session := range broken.Sessions {
			if session.Result != nil {
				session.Result.SessionID = uuid.Nil // a fight without a session
				broken.Sessions[id] = session
			}
		}

		r.unchanged(func() {
			err := r.store.Commit(r.ctx, broken, game.Request{})
			if err == nil || events.IsUnavailable(err) || !strings.Contains(err.Error(), "session") {
				t.Errorf("got %v, want an error about the session", err)
			}
		})
	})
}
