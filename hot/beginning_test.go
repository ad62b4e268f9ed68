package hot_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func (r *rig) beginning(char events.CharID) (token string, age time.Duration) {
	r.t.Helper()
	token, age, err := r.store.Beginning(r.ctx, char)
	r.must(err)
	return token, age
}

// A beginning is noted once: it keeps its token and grows older.
func TestBeginningIsNotedOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.newcomer()
		token, age := r.beginning(char)
		if token == "" || age != 0 {
			t.Errorf("first asked: token %q, %s old, want a new one", token, age)
		}
		for last := age; ; {
			again, age := r.beginning(char)
			if again != token || age < last {
				t.Fatalf("asked again: token %q, %s old, first %q, %s old", again, age, token, last)
			}
			if last = age; age > 0 {
				break
			}
		}
		r.character() // what is kept does not matter
		if again, _ := r.beginning(char); again != token {
			t.Errorf("token %q after a commit, first %q", again, token)
		}
	})
}

// A server's clock that is set back makes nobody wait until it is there again.
func TestBeginningIsMadeAnewWhereTheClockWasSetBack(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.newcomer()
		token, _ := r.beginning(char)
		run := token[:strings.LastIndexByte(token, ':')]
		ahead := fmt.Sprintf("%s:%d", run, time.Now().Add(time.Hour).UnixMicro())
		r.must(r.raw.Set(r.ctx, r.store.IndexKey("beginning", char), ahead, 0).Err())

		if again, age := r.beginning(char); again == ahead || age < 0 {
			t.Errorf("got %q, %s old, want a new one", again, age)
		}
	})
}

// What Redis was told before it was emptied, or started again, is another
// beginning's.
func TestBeginningIsAnotherOneAfterALoss(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.newcomer()
		before, _ := r.beginning(char)
		r.must(r.flush())
		if after, age := r.beginning(char); after == before || age != 0 {
			t.Errorf("emptied: token %q, %s old, before %q", after, age, before)
		}
	})
	t.Run("restart", func(t *testing.T) {
		server := stacktest.OwnRedis(t)
		r := newRig(t, server.URL())
		char := r.newcomer()
		before, _ := r.beginning(char)
		restart(t, r, server)
		if kept, err := r.raw.Get(r.ctx, "beginning").Result(); err != nil || kept != before {
			t.Fatalf("the data of the restart has %q, %v, want the note of the run before", kept, err)
		}
		if after, age := r.beginning(char); after == before || age != 0 {
			t.Errorf("restarted: token %q, %s old, before %q", after, age, before)
		}
	})
}

// On a cluster each server begins by itself.
func TestOneServersLossIsNoBeginningOfAnother(t *testing.T) {
	r := newClusterRig(t)
	tokens := make(map[events.CharID]string)
	for range 30 { // some on each of the servers
		char := r.newcomer()
		tokens[char], _ = r.beginning(char)
	}
	r.must(r.nodes[0].FlushAll(r.ctx).Err())
	same, other := 0, 0
	for char, before := range tokens {
		if after, _ := r.beginning(char); after == before {
			same++
		} else {
			other++
		}
	}
	if same == 0 || other == 0 {
		t.Errorf("%d characters have the same beginning and %d another, want some of both", same, other)
	}
}

// A join that was begun before Redis was emptied, or started again, has read
// copies that may miss what was published meanwhile. It is not committed.
func TestJoinBegunBeforeALossWritesNothing(t *testing.T) {
	prepared := func(r *rig) (commit func() error, char events.CharID) {
		char = r.newcomer()
		token, _ := r.beginning(char)
		loaded := r.load(char)
		joined := asState(everyPart(char, r.next()))
		return func() error {
			return r.store.CommitJoin(r.ctx, &loaded.State, &joined, game.Joining{Beginning: token})
		}, char
	}
	refused := func(t *testing.T, r *rig, commit func() error) {
		t.Helper()
		r.unchanged(func() { r.moved(commit(), 0) })
	}
	onBoth(t, func(t *testing.T, r *rig) {
		commit, char := prepared(r)
		r.must(r.flush())
		refused(t, r, commit) // nobody has noted the new beginning yet
		r.beginning(char)
		refused(t, r, commit)
		if loaded := r.load(char); loaded.Known {
			t.Errorf("known as %+v", loaded.State)
		}

		commit, char = prepared(r) // under the new beginning it goes
		r.must(commit())
		if !r.load(char).Verified {
			t.Error("not verified after the join")
		}
	})
	t.Run("restart", func(t *testing.T) {
		server := stacktest.OwnRedis(t)
		r := newRig(t, server.URL())
		commit, char := prepared(r)
		restart(t, r, server)
		r.beginning(char)
		refused(t, r, commit)
	})
}

// The beginnings of all slots are noted at once, and those that are noted already stay.
func TestBeginningsAreNotedEverywhere(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		first := r.newcomer()
		before, _ := r.beginning(first)
		r.must(r.store.NoteBeginnings(r.ctx))
		if after, _ := r.beginning(first); after != before {
			t.Errorf("token %q, before %q", after, before)
		}
		for range 30 {
			if _, age := r.beginning(r.newcomer()); age == 0 {
				t.Error("a slot has no beginning noted")
			}
		}
	})
}
