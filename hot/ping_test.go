package hot_test

import (
	"testing"

	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// A Redis that follows another one, or is full, answers a PING; no action is taken there.
func TestRedisThatTakesNoWritesIsNotThere(t *testing.T) {
	t.Parallel()
	r := newRig(t, stacktest.OwnRedis(t).URL())
	r.must(r.store.Ping(r.ctx))

	r.must(r.raw.ConfigSet(r.ctx, "maxmemory", "1").Err())
	if err := r.store.Ping(r.ctx); err == nil {
		t.Error("it is full")
	}
	r.must(r.raw.ConfigSet(r.ctx, "maxmemory", "0").Err())
	r.must(r.store.Ping(r.ctx))

	r.must(r.raw.Do(r.ctx, "replicaof", "127.0.0.1", "1").Err())
	if err := r.store.Ping(r.ctx); err == nil {
		t.Error("it follows another one")
	}
	r.must(r.raw.Do(r.ctx, "replicaof", "no", "one").Err())
	stacktest.Eventually(t, "it leads again", func() bool { return r.store.Ping(r.ctx) == nil })
}
