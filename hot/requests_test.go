package hot_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

func TestRepeatedRequestReturnsTheFirstRecord(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		first := r.items(char, game.ItemDelta{ItemID: "potion", Delta: 1})
		r.must(r.store.Commit(r.ctx, first, game.Request{Key: "k", Record: `{"a":1}`}))
		again := r.items(char, game.ItemDelta{ItemID: "potion", Delta: 1})

		r.unchanged(func() {
			wantReplay(t, r.store.Commit(r.ctx, again, game.Request{Key: "k", Record: `{"a":2}`}), `{"a":1}`)
			wantReplay(t, r.store.CommitBlind(r.ctx, again, game.Request{Key: "k", Record: `{"a":2}`}), `{"a":1}`)
			// Also where the version is stale or mad: the repeat is told apart first.
			again.Version = first.Version
			wantReplay(t, r.store.Commit(r.ctx, again, game.Request{Key: "k", Record: `{"a":2}`}), `{"a":1}`)
		})

		for key, record := range map[string]string{"k": `{"a":1}`, "other": ""} {
			loaded, err := r.store.Load(r.ctx, char, game.Want{Request: key})
			r.must(err)
			if loaded.Record != record {
				t.Errorf("loaded %q for request %q, want %q", loaded.Record, key, record)
			}
		}
	})
}

func wantReplay(t tb, err error, record string) {
	t.Helper()
	var replay *game.ReplayError
	if !errors.As(err, &replay) {
		t.Fatalf("got %v, want a ReplayError", err)
	}
	if replay.Record != record {
		t.Errorf("record %q, want the first one %q", replay.Record, record)
	}
}

// The keys of two characters are apart.
func TestRequestOfAnotherCharacterIsNoRepeat(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		for range 2 {
			r.must(r.store.Commit(r.ctx, r.vitals(r.character(), 1), game.Request{Key: "k", Record: "r"}))
		}
	})
}

// A commit that was refused leaves its key free for the next try.
func TestRefusedRequestIsNotRemembered(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		stale := r.vitals(char, 1)
		newest := r.vitals(char, 2)
		r.commit(newest)
		r.moved(r.store.Commit(r.ctx, stale, game.Request{Key: "k", Record: "r"}), newest.Version)

		r.must(r.store.Commit(r.ctx, r.vitals(char, 3), game.Request{Key: "k", Record: "r"}))
	})
}

// A refusal is an answer, too: it is kept, and changes nothing else. Of a character that
// Redis does not have, or has lost, others may know another answer.
func TestRefusalIsKeptAndChangesNothing(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char, unknown := r.character(), r.newcomer()
		r.commit(everyPart(char, r.next()))
		requests := fmt.Sprintf("{ac:%d}:requests", char)
		before := r.dump()

		r.must(r.store.Refuse(r.ctx, char, game.Request{Key: "k", Record: "no"}))

		after := r.dump()
		delete(after, requests)
		equal(t, "all but the answers", after, before)
		if ttl := r.raw.TTL(r.ctx, requests).Val(); ttl <= 0 || ttl > 48*time.Hour {
			t.Errorf("the answer goes in %s, want at most two days", ttl)
		}
		r.unchanged(func() {
			wantReplay(t, r.store.Refuse(r.ctx, char, game.Request{Key: "k", Record: "yes"}), "no")
			wantReplay(t, r.store.Commit(r.ctx, r.vitals(char, 1), game.Request{Key: "k", Record: "yes"}), "no")
			if err := r.store.Refuse(r.ctx, unknown, game.Request{Key: "k", Record: "no"}); !errors.Is(err, game.ErrUnverified) {
				t.Errorf("refused for a character that Redis does not have: %v", err)
			}
		})
	})
}

// A join brings back the answers that have events. That takes none of the newest
// from those that have no event, however many there are.
func TestJoinForgetsNoAnswer(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		const promised = 256 // the newest so many
		char := r.character()
		answer := func(n int) game.Request {
			return game.Request{Key: fmt.Sprint("key ", n), Record: fmt.Sprint("record ", n)}
		}
		var published []game.Request
		n := 0
		act := func() {
			n++
			r.age(char)
			r.must(r.store.Commit(r.ctx, r.vitals(char, 1), answer(n)))
			if n%10 != 0 {
				published = append(published, answer(n))
			}
		}
		for range 300 {
			act()
		}
		for range 3 {
			loaded := r.load(char)
			r.must(r.store.CommitJoin(r.ctx, &loaded.State, &loaded.State, game.Joining{Answers: published}))
			for range 10 {
				act()
			}
		}
		for i := n - promised + 1; i <= n; i++ {
			wantReplay(t, r.store.Commit(r.ctx, r.vitals(char, 2), game.Request{Key: answer(i).Key}), answer(i).Record)
		}
	})
}

// The answers of the last two minutes are kept, and the newest 256 of a character;
// of older ones never more than twice as many, and none without a time at which it
// goes.
func TestNewestAnswersAreKept(t *testing.T) {
	const full, answered = 256, 600
	onBoth(t, func(t *testing.T, r *rig) {
		for name, test := range map[string]struct {
			isOld bool
			least int // the newest so many are kept
		}{
			"new": {false, answered},
			"old": {true, full},
		} {
			t.Run(name, func(t *testing.T) {
				r := r.in(t)
				char := r.character()
				for i := range answered {
					if test.isOld {
						r.age(char)
					}
					r.must(r.store.Commit(r.ctx, r.vitals(char, 1), game.Request{Key: fmt.Sprint("key-", i), Record: fmt.Sprint(i)}))
				}

				r.unchanged(func() {
					for i := answered - test.least; i < answered; i++ {
						wantReplay(t, r.store.Commit(r.ctx, r.vitals(char, 2), game.Request{Key: fmt.Sprint("key-", i)}), fmt.Sprint(i))
					}
				})
				var count int64
				for _, name := range []string{"requests", "requests:old"} {
					key := fmt.Sprintf("{ac:%d}:%s", char, name)
					n, err := r.raw.HLen(r.ctx, key).Result()
					r.must(err)
					count += n
					ttl, err := r.raw.TTL(r.ctx, key).Result()
					r.must(err)
					if n > 0 && (ttl <= 0 || ttl > 48*time.Hour) {
						t.Errorf("%s goes in %s, want at most two days", key, ttl)
					}
				}
				if most := int64(2*full + 2); test.isOld && count > most {
					t.Errorf("%d answers are kept, want at most %d", count, most)
				}
			})
		}
	})
}

// A character that asks seldom has its answers for a day, too, and each of them goes.
func TestAnswersOfFewRequestsAreKeptForADay(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		act := func(n int) {
			r.must(r.store.Commit(r.ctx, r.vitals(char, 1), game.Request{Key: fmt.Sprint("key-", n), Record: fmt.Sprint(n)}))
		}
		key := fmt.Sprintf("{ac:%d}:requests", char)
		act(1)
		r.ageBy(char, 23*time.Hour)
		r.must(r.raw.Expire(r.ctx, key, 25*time.Hour).Err())
		act(2)
		if ttl := r.raw.TTL(r.ctx, key).Val(); ttl < 24*time.Hour {
			t.Errorf("the second answer goes in %s, want a day at least", ttl)
		}

		r.ageBy(char, 24*time.Hour)
		act(3)
		for n := 1; n <= 3; n++ {
			wantReplay(t, r.store.Commit(r.ctx, r.vitals(char, 2), game.Request{Key: fmt.Sprint("key-", n)}), fmt.Sprint(n))
		}
		r.ageBy(char, 24*time.Hour)
		act(4)

		for n, want := range map[int]string{1: "", 2: "", 3: "3", 4: "4"} {
			loaded, err := r.store.Load(r.ctx, char, game.Want{Request: fmt.Sprint("key-", n)})
			r.must(err)
			equal(t, fmt.Sprint("answer ", n), loaded.Record, want)
		}
	})
}

// What a join brings back is kept as long as any answer, also among answers that go soon.
func TestAnswerThatAJoinBringsBackIsKeptForADay(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		r.must(r.store.Commit(r.ctx, r.vitals(char, 1), game.Request{Key: "k", Record: "r"}))
		key := fmt.Sprintf("{ac:%d}:requests", char)
		r.must(r.raw.Expire(r.ctx, key, time.Minute).Err())
		loaded := r.load(char)

		r.must(r.store.CommitJoin(r.ctx, &loaded.State, &loaded.State, game.Joining{Answers: []game.Request{{Key: "other", Record: "r"}}}))

		if ttl := r.raw.TTL(r.ctx, key).Val(); ttl < 24*time.Hour {
			t.Errorf("the answer goes in %s, want a day at least", ttl)
		}
	})
}

// age makes a character's newest answers old enough for their generation to end where
// it is full.
func (r *rig) age(char events.CharID) { r.ageBy(char, 2*time.Minute) }

func (r *rig) ageBy(char events.CharID, age time.Duration) {
	key := fmt.Sprintf("{ac:%d}:requests", char)
	if n, err := r.raw.Exists(r.ctx, key).Result(); err != nil || n == 0 {
		r.must(err)
		return
	}
	r.must(r.raw.HSet(r.ctx, key, "began", time.Now().Add(-age).Unix()).Err())
}
