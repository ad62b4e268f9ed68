package hot

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// The names are a contract: operators and other tools read them.
func TestKeysAreNamedAsDocumented(t *testing.T) {
	session := uuid.MustParse("0193c2a4-0000-7000-8000-000000000001")
	for want, key := range map[string]string{
		"ac:42":                               keyContexts(42),
		"{ac:42}:vitals":                      keyVitals(42),
		"{ac:42}:items":                       keyItems(42),
		"{ac:42}:progress":                    keyProgress(42),
		"{ac:42}:scenarios":                   keyScenarios(42),
		"{ac:42}:session:" + session.String(): keySession(42, session),
		"{ac:42}:dirty":                       keyMarks(42),
		"{ac:42}:requests":                    keyRequests(42),
		"{ac:42}:requests:old":                keyRequestsOld(42),
		"dirty":                               indexer{}.key(indexDirty, 42),
		"idle":                                indexer{}.key(indexIdle, 42),
		"open":                                indexer{}.key(indexOpen, 42),
	} {
		if key != want {
			t.Errorf("key %q, want %q", key, want)
		}
	}
}

func TestKeysOfACharacterShareOneSlot(t *testing.T) {
	cluster := indexer{cluster: true}
	for range 1000 {
		char := events.CharID(rand.Int64N(1 << 62))
		slots := make(map[int]string)
		for _, key := range []string{
			keyContexts(char), keyVitals(char), keyItems(char), keyProgress(char), keyScenarios(char),
			keySession(char, uuid.New()), keyMarks(char), keyRequests(char), keyRequestsOld(char),
			cluster.key(indexDirty, char), cluster.key(indexIdle, char), cluster.key(indexOpen, char),
		} {
			slots[slot(key)] = key
		}
		if len(slots) != 1 {
			t.Fatalf("keys of %d lie in the slots %v", char, slots)
		}
	}
}

func TestEverySlotHasATag(t *testing.T) {
	for want, tag := range tags() {
		if got := slot("dirty:{" + tag + "}"); got != want {
			t.Fatalf("tag %q of slot %d hashes into slot %d", tag, want, got)
		}
	}
	for _, index := range []string{indexDirty, indexIdle, indexOpen} {
		seen := make(map[int]bool)
		for _, key := range (indexer{cluster: true}).all(index) {
			seen[slot(key)] = true
		}
		if len(seen) != slots {
			t.Errorf("the keys of index %s lie in %d slots, want %d", index, len(seen), slots)
		}
	}
}

// The real server is asked, not another reading of the same documentation.
func TestSlotIsTheOneOfRedisCluster(t *testing.T) {
	keys := []string{
		"", "{", "}", "{}", "{}a", "a{}b", "a{b", "a}b{c", "{a}", "{a}{b}", "x{a}y{b}z", "{{a}}", "{a", "foo{{bar}}zap", "\x00\xff{\xfe}",
	}
	seed := uint64(os.Getpid())
	t.Log("seed", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		key := make([]byte, random.IntN(20))
		for i := range key {
			key[i] = "{}ac:1\x00\xff"[random.IntN(8)]
		}
		keys = append(keys, string(key))
	}
	for range 500 {
		char := events.CharID(random.Int64N(1<<62) + 1)
		keys = append(keys, keyContexts(char), keyVitals(char), indexer{cluster: true}.key(indexDirty, char))
	}
	for n := range 500 {
		keys = append(keys, strconv.Itoa(n))
	}

	client := redis.NewClient(&redis.Options{Addr: stacktest.RedisCluster(t).Addrs()[0]})
	defer client.Close()
	asked := make([]*redis.IntCmd, len(keys))
	_, err := client.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for i, key := range keys {
			asked[i] = p.ClusterKeySlot(t.Context(), key)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, key := range keys {
		if got, want := slot(key), int(asked[i].Val()); got != want {
			t.Errorf("slot of %q is %d, the server says %d", key, got, want)
		}
	}
}
