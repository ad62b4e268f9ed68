package hot_test

import (
	"strings"
	"testing"

	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// Every way to name the cluster leads to the same characters: a store that took
// it for a single Redis would use the wrong index, or be sent away by a node.
func TestEveryFormOfAddressLeadsToTheCluster(t *testing.T) {
	r := newClusterRig(t)
	addrs := stacktest.RedisCluster(t).Addrs()
	for _, url := range []string{
		"redis://" + strings.Join(addrs, ",redis://"),
		"redis://" + addrs[0] + ", " + addrs[1],
		strings.Join(addrs, ","),
		"redis+cluster://" + addrs[0], // the other nodes are found
	} {
		t.Run(url, func(t *testing.T) {
			r := r.in(t)
			store, err := hot.Open(url)
			r.must(err)
			defer store.Close()
			r.must(store.Ping(t.Context()))

			for range 10 {
				char := r.character()
				r.must(store.Commit(t.Context(), r.vitals(char, 1), game.Request{}))
				if !r.listed("dirty", char) {
					t.Errorf("character %d is not in the index of its slot", char)
				}
			}
		})
	}
}

func TestWrongAddressIsRefused(t *testing.T) {
	for _, url := range []string{"", "http://127.0.0.1:1", "redis://127.0.0.1:1/x", "a,http://b"} {
		if store, err := hot.Open(url); err == nil {
			_ = store.Close()
			t.Errorf("%q is accepted", url)
		}
	}
}
