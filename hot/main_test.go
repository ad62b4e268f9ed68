package hot_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/internal/stack"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// tb is what rapid's T has of testing.TB.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// rig is an empty Redis, single or cluster, with a store on it.
type rig struct {
	t     tb
	ctx   context.Context
	store *hot.Store
	raw   redis.UniversalClient // to look behind the store's back
	nodes []*redis.Client       // each node by itself
	clock *atomic.Int64         // the newest version that was handed out
}

// onBoth runs a test against a single Redis and against a cluster. The cluster
// is shared and emptied in between, so these tests do not run in parallel.
func onBoth(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	t.Run("single", func(t *testing.T) { test(t, newRig(t, stacktest.Redis(t))) })
	t.Run("cluster", func(t *testing.T) { test(t, newClusterRig(t)) })
}

func newRig(t testing.TB, url string) *rig {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	t.Cleanup(func() { _ = client.Close() })
	return openRig(t, url, client, client)
}

func newClusterRig(t testing.TB) *rig {
	t.Helper()
	return newRigOn(t, stacktest.RedisCluster(t))
}

func newRigOn(t testing.TB, cluster *stack.RedisCluster) *rig {
	t.Helper()
	var nodes []*redis.Client
	for _, addr := range cluster.Addrs() {
		node := redis.NewClient(&redis.Options{Addr: addr})
		nodes = append(nodes, node)
		t.Cleanup(func() {
			_ = node.FlushAll(context.Background()).Err() // a node that is gone fails the test by itself
			_ = node.Close()
		})
	}
	raw := redis.NewClusterClient(&redis.ClusterOptions{Addrs: cluster.Addrs()})
	t.Cleanup(func() { _ = raw.Close() })
	return openRig(t, cluster.URL(), raw, nodes...)
}

func openRig(t testing.TB, url string, raw redis.UniversalClient, nodes ...*redis.Client) *rig {
	t.Helper()
	store, err := hot.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	r := &rig{t: t, ctx: t.Context(), store: store, raw: raw, nodes: nodes, clock: new(atomic.Int64)}
	r.clock.Store(time.Now().Add(-20 * time.Second).UnixMicro())
	return r
}

// in is the same rig inside of a part of the test.
func (r *rig) in(t tb) *rig {
	inner := *r
	inner.t = t
	return &inner
}

// next is a version above all before, some seconds behind the clock.
func (r *rig) next() events.Version { return events.Version(r.clock.Add(1)) }

var chars atomic.Int64

// newcomer is a character that nobody knows.
func (r *rig) newcomer() events.CharID { return events.CharID(41 + chars.Add(1)) }

// character is one that Redis has, verified and without any state.
func (r *rig) character() events.CharID {
	r.t.Helper()
	char := r.newcomer()
	r.must(r.store.CommitJoin(r.ctx, &game.State{Char: char}, &game.State{Char: char}, game.Joining{}))
	return char
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) load(char events.CharID) *game.Loaded {
	r.t.Helper()
	loaded, err := r.store.Load(r.ctx, char, game.Everything)
	r.must(err)
	return loaded
}

// commit commits a change that has to succeed, and returns its events.
func (r *rig) commit(c *game.Change) []events.StateChanged {
	r.t.Helper()
	r.must(r.store.Commit(r.ctx, c, game.Request{}))
	return c.Events
}

func (r *rig) saved(batch ...events.StateChanged) {
	r.t.Helper()
	r.must(r.store.Saved(r.ctx, batch))
}

func (r *rig) marks(char events.CharID) events.RowVersions {
	r.t.Helper()
	marks, err := r.store.Marks(r.ctx, []events.CharID{char})
	r.must(err)
	return marks[char]
}

// Changes as the game makes them, at the next version.

func (r *rig) vitals(char events.CharID, hp int32) *game.Change {
	return game.SetVitals(&game.State{Char: char}, r.next(), events.Vitals{
		HP: hp, Energy: 3, Location: events.Location{Zone: "harbor", X: 1.5, Y: -2},
	})
}

func (r *rig) items(char events.CharID, deltas ...game.ItemDelta) *game.Change {
	r.t.Helper()
	c, err := game.ChangeItems(&r.load(char).State, r.next(), deltas)
	r.must(err)
	return c
}

func (r *rig) enter(char events.CharID, entry game.Entry) *game.Change {
	r.t.Helper()
	c, _, err := game.Enter(&r.load(char).State, r.next(), entry)
	r.must(err)
	r.clock.Store(max(r.clock.Load(), int64(c.Version)))
	return c
}

// fight commits the begin of a fight and returns its session.
func (r *rig) fight(char events.CharID) uuid.UUID {
	r.t.Helper()
	session := uuid.New()
	r.commit(r.enter(char, game.Entry{Context: game.ContextCombat, SessionID: session}))
	return session
}

// win commits the end of a fight and returns its event.
func (r *rig) win(char events.CharID, session uuid.UUID, loot ...game.ItemDelta) events.StateChanged {
	r.t.Helper()
	c, err := game.FinishCombat(&r.load(char).State, r.next(), session, game.Result{Outcome: "victory", XP: 120, Loot: loot})
	r.must(err)
	return r.commit(c)[0]
}

// mirrored says that the mirror shows the contexts as they are.
func (r *rig) mirrored(char events.CharID) {
	r.t.Helper()
	at := r.load(char).Contexts.Version
	r.must(r.store.Clear(r.ctx, map[events.CharID]marks{char: {game.RowContexts: at}}))
}

// dump is all that the servers hold, each key with its content.
func (r *rig) dump() map[string]string {
	r.t.Helper()
	all := make(map[string]string)
	for _, node := range r.nodes {
		keys := node.Scan(r.ctx, 0, "", 1000).Iterator()
		for keys.Next(r.ctx) {
			all[keys.Val()] = r.content(node, keys.Val())
		}
		r.must(keys.Err())
	}
	return all
}

func (r *rig) content(node *redis.Client, key string) string {
	r.t.Helper()
	kind, err := node.Type(r.ctx, key).Result()
	r.must(err)
	switch kind {
	case "string":
		value, err := node.Get(r.ctx, key).Result()
		r.must(err)
		return value
	case "hash":
		values, err := node.HGetAll(r.ctx, key).Result()
		r.must(err)
		return fmt.Sprintf("%q", values)
	case "zset":
		values, err := node.ZRangeWithScores(r.ctx, key, 0, -1).Result()
		r.must(err)
		return fmt.Sprintf("%v", values)
	}
	r.t.Fatalf("key %q is a %s", key, kind)
	return ""
}

// keys lists the keys that begin with prefix, in order.
func (r *rig) keys(prefix string) []string {
	r.t.Helper()
	keys := slices.Sorted(maps.Keys(r.dump()))
	return slices.DeleteFunc(keys, func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// listed reports whether an index has the character.
func (r *rig) listed(index string, char events.CharID) bool {
	r.t.Helper()
	err := r.raw.ZScore(r.ctx, r.store.IndexKey(index, char), char.String()).Err()
	if err != nil && !errors.Is(err, redis.Nil) {
		r.t.Fatal(err)
	}
	return err == nil
}

// flush empties the servers.
func (r *rig) flush() error {
	for _, node := range r.nodes {
		if err := node.FlushDB(r.ctx).Err(); err != nil {
			return err
		}
	}
	return nil
}

// unchanged fails where do wrote anything.
func (r *rig) unchanged(do func()) {
	r.t.Helper()
	before := r.dump()
	do()
	if diff := cmp.Diff(before, r.dump()); diff != "" {
		r.t.Errorf("something was written (-before +after):\n%s", diff)
	}
}

// moved fails where err is no *game.MovedError at version want.
func (r *rig) moved(err error, want events.Version) {
	r.t.Helper()
	var moved *game.MovedError
	if !errors.As(err, &moved) {
		r.t.Fatalf("got %v, want a MovedError", err)
	}
	if moved.Version != want {
		r.t.Errorf("moved on to version %d, want %d", moved.Version, want)
	}
}

func equal(t tb, what string, got, want any) {
	t.Helper()
	// The name of a copy is drawn.
	if diff := cmp.Diff(want, got, cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Copy" }, cmp.Ignore())); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
