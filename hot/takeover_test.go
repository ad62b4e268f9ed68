package hot_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// foundWithin is far above the time in which a store looks again where the slots are, and
// far below the minute after which the client would do it by itself.
const foundWithin = 20 * time.Second

// A server that is dead and stays away tells nobody where its slots went.
func TestWhoTakesOverADeadServersSlotsIsFound(t *testing.T) {
	t.Parallel()
	cluster := stacktest.OwnRedisCluster(t)
	r := newRigOn(t, cluster)
	for _, node := range r.nodes {
		r.must(node.ConfigSet(r.ctx, "cluster-require-full-coverage", "no").Err())
	}
	char := r.keptBy(r.nodes[1])
	_, err := r.store.Unverified(r.ctx, []events.CharID{char})
	r.must(err) // the functions are defined everywhere
	heir, err := r.nodes[0].Do(r.ctx, "CLUSTER", "MYID").Text()
	r.must(err)
	slot, err := r.nodes[0].ClusterKeySlot(r.ctx, "ac:"+char.String()).Result()
	r.must(err)
	r.must(cluster.Nodes[1].Kill())
	for _, node := range []*redis.Client{r.nodes[0], r.nodes[2]} {
		r.must(node.Do(r.ctx, "CLUSTER", "SETSLOT", slot, "NODE", heir).Err())
	}

	ctx, cancel := context.WithTimeout(r.ctx, foundWithin)
	defer cancel()
	join := func() error {
		return r.store.CommitJoin(ctx, &game.State{Char: char}, &game.State{Char: char}, game.Joining{})
	}
	for err = join(); err != nil && ctx.Err() == nil; err = join() {
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("the character is kept out: %v", err)
	}
}
