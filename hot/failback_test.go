package hot_test

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// A pair is two servers, each of which may follow the other.
type pair struct{ *rig }

func newPair(t *testing.T) (one, two pair) {
	one, two = pair{newRig(t, stacktest.OwnRedis(t).URL())}, pair{newRig(t, stacktest.OwnRedis(t).URL())}
	for _, r := range []pair{one, two} {
		r.must(r.nodes[0].ConfigSet(r.ctx, "repl-diskless-sync-delay", "0").Err())
	}
	two.clock = one.clock
	return one, two
}

// follow makes the server a replica that has all that its master has.
func (r pair) follow(t *testing.T, master pair) {
	t.Helper()
	host, port, err := net.SplitHostPort(master.nodes[0].Options().Addr)
	r.must(err)
	r.must(r.nodes[0].ReplicaOf(r.ctx, host, port).Err())
	stacktest.Eventually(t, "in step", func() bool {
		return strings.Contains(r.info("replication"), "master_link_status:up\r\n") && r.offset() == master.offset()
	})
}

// lead makes the server a master.
func (r pair) lead() {
	r.t.Helper()
	r.must(r.nodes[0].ReplicaOf(r.ctx, "NO", "ONE").Err())
}

func (r pair) info(section string) string {
	r.t.Helper()
	text, err := r.nodes[0].Info(r.ctx, section).Result()
	r.must(err)
	return text
}

// offset is how far a server has come, as a master or as a replica.
func (r pair) offset() string {
	_, after, _ := strings.Cut(r.info("replication"), "master_repl_offset:")
	offset, _, _ := strings.Cut(after, "\r\n")
	return offset
}

// wantUnverified wants nothing to be decided on what the server has of a character.
func (r pair) wantUnverified(char events.CharID) {
	r.t.Helper()
	loaded := r.load(char)
	if loaded.Verified {
		r.t.Errorf("%v is verified", loaded.Items)
	}
	sold, err := game.ChangeItems(&loaded.State, r.next(), []game.ItemDelta{{ItemID: "sword", Delta: -1}})
	r.must(err)
	if err := r.store.Commit(r.ctx, sold, game.Request{}); !errors.Is(err, game.ErrUnverified) {
		r.t.Errorf("the sword that another server sold is sold again: %v", err)
	}
	missing, err := r.store.Unverified(r.ctx, []events.CharID{char})
	r.must(err)
	if len(missing) != 1 {
		r.t.Errorf("the sweeper takes it for verified")
	}
}

// A server that leads, follows and leads again is another run each time, though its
// process is the same: what another server did in between may not all have come to it.
// It is so where it copied all data anew, which loads the library again, and where it
// went on from what it had.
func TestServerThatLeadsAgainIsAnotherRun(t *testing.T) {
	t.Parallel()
	for _, partly := range []bool{false, true} {
		name := map[bool]string{false: "all data copied", true: "went on"}[partly]
		t.Run(name, func(t *testing.T) {
			one, two := newPair(t)
			char := one.character()
			one.commit(one.items(char, game.ItemDelta{ItemID: "sword", Delta: 1}))
			token, _ := one.beginning(char)
			note, _ := one.note()
			one.must(one.store.NoteComplete(one.ctx, note))
			two.follow(t, one)
			two.lead()
			two.wantUnverified(char)
			if !partly {
				one.must(one.raw.Set(one.ctx, "rope", "1", 0).Err()) // which two never gets
			}

			one.follow(t, two)
			copied := !strings.Contains(two.info("stats"), "sync_partial_ok:0")
			if copied != partly {
				t.Fatalf("went on from what it had: %v, want %v", copied, partly)
			}
			one.lead()
			loaded := two.load(char) // two does not know yet, and one does not hear of it
			two.must(two.store.CommitJoin(two.ctx, &loaded.State, &loaded.State, game.Joining{}))
			two.commit(two.items(char, game.ItemDelta{ItemID: "sword", Delta: -1}))

			one.wantUnverified(char)
			if again, age := one.beginning(char); again == token || age != 0 {
				t.Errorf("the beginning is still %q, %s old", again, age)
			}
			one.wantComplete("leads again", false)
		})
	}
}
