package hot

import (
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// Keys of one character. ac:42 has no braces, so Redis Cluster hashes the whole
// key; {ac:42}:… hashes the same text. All keys of a character therefore share
// one slot, and one script may write them all.

// keyContexts is the hash of the active contexts, with the version of the
// character, of each part, the Redis run the copy was verified under, and the
// name that the copy got when it was.
func keyContexts(c events.CharID) string {
	return string(strconv.AppendInt(append(make([]byte, 0, 32), "ac:"...), int64(c), 10))
}

// keyVitals is a hash: hp, energy, zone, x, y, version.
func keyVitals(c events.CharID) string { return part(c, "vitals") }

// keyItems is a hash: item_id to "<quantity>@<version>".
func keyItems(c events.CharID) string { return part(c, "items") }

// keyProgress is a hash: xp, version.
func keyProgress(c events.CharID) string { return part(c, "progress") }

// keyScenarios is a hash: scenario_id to JSON.
func keyScenarios(c events.CharID) string { return part(c, "scenarios") }

// keyTransfers is a hash: transfer_id to JSON, of the trades that are not saved.
func keyTransfers(c events.CharID) string { return part(c, "transfers") }

// keySession is a hash: context, opened_at, version, and what the context adds.
func keySession(c events.CharID, id uuid.UUID) string { return part(c, "session:"+id.String()) }

// keyMarks is a hash: the rows that are dirty, each with the version that has
// to be saved.
func keyMarks(c events.CharID) string { return part(c, "dirty") }

// keyRequests is a hash: idempotency key to the first answer; "began" to when it began.
// When it is full and old it becomes keyRequestsOld, so the newest answers are always
// there (keep in library.lua).
func keyRequests(c events.CharID) string    { return part(c, "requests") }
func keyRequestsOld(c events.CharID) string { return part(c, "requests:old") }

func part(c events.CharID, name string) string {
	key := strconv.AppendInt(append(make([]byte, 0, 80), "{ac:"...), int64(c), 10) // a capacity that the compiler knows keeps it on the stack
	return string(append(append(key, "}:"...), name...))
}

// keyComplete is a hash: whether this run of Redis is complete, and what has to
// be settled before it is. It goes with what Redis has: emptied or started
// again, Redis is not complete.
const keyComplete = "savepoint:complete"

// Indexes over characters are sorted sets. They have to lie in the slot of the
// characters they list, so a cluster has one of each a slot, and a single Redis
// one in all.
const (
	indexDirty = "dirty" // characters with marks, by the time of the oldest
	indexIdle  = "idle"  // all characters, by when they were last seen
	indexOpen  = "open"  // characters in a context, by when they entered it

	// indexBeginning is no index but lies beside them: "<run>:<time>", since when this
	// run of Redis has kept what it was told. Older releases, which told runs apart
	// differently, use notes of other names, "born" and "since".
	indexBeginning = "beginning"
)

// An indexer names the index that a character belongs to.
type indexer struct{ cluster bool }

func (x indexer) key(index string, c events.CharID) string {
	if !x.cluster {
		return index
	}
	return index + ":{" + tags()[slot(keyContexts(c))] + "}"
}

// all lists the keys of an index.
func (x indexer) all(index string) []string {
	if !x.cluster {
		return []string{index}
	}
	keys := make([]string, slots)
	for i, tag := range tags() {
		keys[i] = index + ":{" + tag + "}"
	}
	return keys
}

const slots = 16384 // of a Redis Cluster

// tags has, for each slot, a short text that hashes into it.
var tags = sync.OnceValue(func() []string {
	found := make([]string, slots)
	for n, missing := 0, slots; missing > 0; n++ {
		tag := strconv.Itoa(n)
		if s := slot(tag); found[s] == "" {
			found[s] = tag
			missing--
		}
	}
	return found
})

// slot is the hash slot of a key by the rules of Redis Cluster: CRC16 (XMODEM)
// of the first non-empty text in braces, or of the whole key.
func slot(key string) int {
	if open := strings.IndexByte(key, '{'); open >= 0 {
		if end := strings.IndexByte(key[open+1:], '}'); end > 0 {
			key = key[open+1 : open+1+end]
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % slots)
}
