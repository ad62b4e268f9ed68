package hot_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/savepoint-games/savepoint/game"
)

// Each key is where operators and other tools are told to look for it, and
// there are no others.
func TestCharacterLivesUnderTheDocumentedKeys(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		change := everyPart(char, r.next())
		r.must(r.store.Commit(r.ctx, change, game.Request{Key: "k", Record: "r"}))

		want := []string{fmt.Sprintf("ac:%d", char)}
		for _, part := range []string{"vitals", "items", "progress", "scenarios", "transfers", "dirty", "requests"} {
			want = append(want, fmt.Sprintf("{ac:%d}:%s", char, part))
		}
		for id := range change.Sessions {
			want = append(want, fmt.Sprintf("{ac:%d}:session:%s", char, id))
		}
		for _, index := range []string{"dirty", "idle", "open"} {
			want = append(want, r.store.IndexKey(index, char))
		}
		equal(t, "keys", r.keys(""), slices.Sorted(slices.Values(want)))

		// The map of contexts is read by people, too.
		contexts, err := r.raw.HGetAll(r.ctx, want[0]).Result()
		r.must(err)
		for _, context := range []game.Context{game.ContextInventory, game.ContextScenario} {
			field := string(context) + "_session_id"
			if got := contexts[field]; got != change.Contexts[context].String() {
				t.Errorf("%s is %q, want %s", field, got, change.Contexts[context])
			}
		}
	})
}

// The commit script is atomic on a cluster because a character never spreads
// over two nodes. The servers are asked.
func TestCharacterLivesInOneSlotOfTheCluster(t *testing.T) {
	r := newClusterRig(t)
	for range 20 {
		char := r.newcomer()
		r.must(r.store.CommitJoin(r.ctx, &game.State{Char: char}, &game.State{Char: char}, game.Joining{}))
		r.must(r.store.Commit(r.ctx, everyPart(char, r.next()), game.Request{Key: "k", Record: "r"}))

		slots := make(map[int64][]string)
		for key := range r.dump() {
			slot, err := r.nodes[0].ClusterKeySlot(r.ctx, key).Result()
			r.must(err)
			slots[slot] = append(slots[slot], key)
		}
		if len(slots) != 1 {
			t.Fatalf("the keys of character %d lie in %d slots: %v", char, len(slots), slots)
		}
		r.must(r.flush())
	}
}
