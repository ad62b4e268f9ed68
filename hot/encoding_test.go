package hot_test

import (
	"fmt"
	"testing"

	"github.com/savepoint-games/savepoint/game"
)

// What each action writes is a listpack: a third of the memory, and one place of it
// instead of one for each field. Redis keeps a hash as one only while every value in it
// has at most 64 bytes.
func TestHashesOfEachActionAreSmall(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		r.must(r.store.Commit(r.ctx, everyPart(char, r.next()), game.Request{Key: "k", Record: "r"}))

		keys := []string{fmt.Sprintf("ac:%d", char)}
		for _, part := range []string{"vitals", "items", "progress", "dirty"} {
			keys = append(keys, fmt.Sprintf("{ac:%d}:%s", char, part))
		}
		for _, key := range keys {
			encoding, err := r.raw.ObjectEncoding(r.ctx, key).Result()
			r.must(err)
			equal(t, "encoding of "+key, encoding, "listpack")
		}
	})
}
