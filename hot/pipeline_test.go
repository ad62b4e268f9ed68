package hot_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// keptBy finds a character that a node of the cluster keeps.
func (r *rig) keptBy(node *redis.Client) events.CharID {
	r.t.Helper()
	for range 1000 {
		if char := r.newcomer(); node.Exists(r.ctx, "ac:"+char.String()).Err() == nil {
			return char
		}
	}
	r.t.Fatal("the node keeps no character")
	return 0
}

// What the servers said before they knew the functions is not looked at.
func TestMissingValueAndForgottenFunctionsAreNoError(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		chars := []events.CharID{r.newcomer(), r.newcomer()}
		for _, node := range r.nodes {
			r.must(node.FunctionFlush(r.ctx).Err())
		}
		got, err := r.store.Unverified(r.ctx, chars)
		r.must(err)
		equal(t, "unverified", got, chars)
	})
}

// What one server of a cluster does not have hides nothing of another that is away:
// its characters are neither verified nor without their trades.
func TestMissingValueDoesNotHideAServerThatIsAway(t *testing.T) {
	t.Parallel()
	cluster := stacktest.OwnRedisCluster(t)
	r := newRigOn(t, cluster)
	here, away := r.keptBy(r.nodes[0]), r.keptBy(r.nodes[1])
	r.must(r.nodes[0].ConfigSet(r.ctx, "cluster-require-full-coverage", "no").Err())
	_, err := r.store.Unverified(r.ctx, []events.CharID{here, away})
	r.must(err) // the functions are defined everywhere
	r.must(cluster.Nodes[1].Kill())

	errs := make(map[string]error)
	_, errs["unverified"] = r.store.Unverified(r.ctx, []events.CharID{here, away})
	trades := []events.Transfer{{ID: uuid.New(), To: here}, {ID: uuid.New(), To: away}}
	_, errs["arrived"] = r.store.Arrived(r.ctx, trades, []string{"one", "other"})

	for name, err := range errs {
		if !events.IsUnavailable(err, events.Redis) {
			t.Errorf("%s: got %v, want an UnavailableError of redis", name, err)
		}
	}
}

// A server that was restarted has forgotten the scripts.
func TestMarksAreClearedWhereTheFunctionsAreForgotten(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		var all []events.CharID
		rows := map[events.CharID]marks{}
		for range 20 {
			char := r.character()
			rows[char] = marks{events.RowVitals: r.commit(r.vitals(char, 1))[0].Version}
			all = append(all, char)
		}
		for _, node := range r.nodes {
			r.must(node.FunctionFlush(r.ctx).Err())
		}

		found, err := r.store.Marks(r.ctx, all)
		r.must(err)
		equal(t, "marks", found, rows)
		r.must(r.store.Clear(r.ctx, rows))

		if n, err := r.store.CountDirty(r.ctx); err != nil || n != 0 {
			t.Errorf("%d characters are dirty (%v)", n, err)
		}
		for _, node := range r.nodes {
			r.must(node.FunctionFlush(r.ctx).Err())
		}
		stay, err := r.store.EvictMany(r.ctx, all, time.Now())
		if err != nil || len(stay) > 0 {
			t.Errorf("%v stay (%v)", stay, err)
		}
	})
}
