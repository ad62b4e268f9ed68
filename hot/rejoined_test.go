package hot_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestUnchangedCharacterIsJoinedAgainAfterARestart(t *testing.T) {
	server := stacktest.OwnRedis(t)
	r := newRig(t, server.URL())
	char := r.character()
	restart(t, r, server)
	loaded := r.load(char)
	r.must(r.store.CommitJoin(r.ctx, &loaded.State, &game.State{Char: char}, game.Joining{}))
	r.commit(r.vitals(char, 1))
}
