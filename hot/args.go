package hot

import (
	"slices"
	"sync"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// args collects what commit.lua takes.
type args struct {
	indexes indexer
	change  *game.Change
	version string // of the change
	mode    byte
	request game.Request
	// beginning is the token that the copies near this one must have, "" for any.
	beginning string
	keys      []string
	// The numbers of keys that only some changes have; 0 for none.
	idle, requests, notes int
	// The fields of the ac hash that must have some value, and these values; then the
	// fields to set, in pairs with their values.
	expected, values, fields []string
	packed                   []byte // the commands, then the other lists
	ends                     []int  // where each of them ends in packed
	// Memory that is used again, enough for most changes; what does not fit is allocated
	// beside it.
	room [24]string // the texts of all the above
	argv [16]string // the arguments, the keys aside
	sent [32]any    // the command, which points to keys and argv
}

// usedArgs holds args whose command was answered. Those of a command without an answer
// may still be read, so they are not used again.
var usedArgs = sync.Pool{New: func() any { return new(args) }}

// newArgs begins the arguments; beginning is the token that the copies near this one
// must have, "" for any.
func newArgs(s *Store, mode byte, c *game.Change, r game.Request, beginning string) *args {
	a := usedArgs.Get().(*args)
	*a = args{
		indexes: s.indexes, change: c, version: itoa(c.Version), mode: mode, request: r, beginning: beginning,
		packed: a.packed[:0], ends: a.ends[:0],
	}
	a.keys, a.expected, a.values, a.fields = a.room[:0:10], a.room[10:10:14], a.room[14:14:18], a.room[18:18:24]
	a.keys = append(a.keys, keyContexts(c.Char), keyMarks(c.Char), a.indexes.key(indexDirty, c.Char))
	if !c.Unseen {
		a.idle = a.key(a.indexes.key(indexIdle, c.Char))
	}
	if r.Key != "" {
		a.requests = a.key(keyRequests(c.Char))
		a.key(keyRequestsOld(c.Char))
	}
	if beginning != "" {
		a.notes = a.key(a.indexes.key(indexBeginning, c.Char))
	}
	return a
}

// key returns the number of a key, counted from 1, and adds the key if it is new.
func (a *args) key(name string) (number int) {
	if i := slices.Index(a.keys, name); i >= 0 {
		return i + 1
	}
	a.keys = append(a.keys, name)
	return len(a.keys)
}

// all lists the keys and the arguments.
func (a *args) all() (keys, arguments []string) {
	commands := len(a.ends)
	a.packed = appendTexts(a.packed, string(a.mode), a.version, a.change.Char.String())
	a.packed = appendNumbers(a.packed, a.idle, a.requests, a.notes)
	a.list(a.request.Key, a.request.Record, a.beginning)
	a.list(a.expected...)
	a.list(a.values...)
	a.list(a.fields...)
	argv, packed, begin := a.argv[:0], string(a.packed), 0
	for _, end := range a.ends {
		argv = append(argv, packed[begin:end])
		begin = end
	}
	return a.keys, append(argv, argv[:commands]...)[commands:] // the commands come last
}

// list ends an argument with texts.
func (a *args) list(texts ...string) {
	a.packed = appendTexts(a.packed, texts...)
	a.ends = append(a.ends, len(a.packed))
}

// expect makes the commit depend on a field of the ac hash having this value; "" means
// that there is no such field.
func (a *args) expect(field, value string) {
	a.expected, a.values = append(a.expected, field), append(a.values, value)
}

func (a *args) expectVersion(field string, v events.Version) {
	if v == 0 {
		a.expect(field, "")
		return
	}
	a.expect(field, itoa(v))
}

// marks makes rows dirty.
func (a *args) marks(rows []events.Row) {
	for some := range slices.Chunk(rows, maxFields) {
		a.begin("HSET", a.keys[1])
		for _, row := range some {
			a.packed = appendTexts(a.packed, string(row.Key), a.text(row.Version))
		}
		a.list()
	}
}

// text returns a version as text, without an allocation where it is the change's own.
func (a *args) text(v events.Version) string {
	if v == a.change.Version {
		return a.version
	}
	return itoa(v)
}

// setField gives a field of the ac hash a value.
func (a *args) setField(field, value string) { a.fields = append(a.fields, field, value) }

// touch sets the version of a part of the character.
func (a *args) touch(p game.Part) {
	a.setField(partField(p), a.version)
}

// set gives the fields of a hash values, in pairs. The ac hash has its own way.
func (a *args) set(key string, pairs ...string) { a.command("HSET", key, pairs...) }

// command adds a command on a key.
func (a *args) command(name, key string, values ...string) {
	a.begin(name, key)
	a.list(values...)
}

// begin begins a command, whose arguments follow as a list.
func (a *args) begin(name, key string) {
	a.packed = appendNumbers(appendTexts(a.packed, name), a.key(key))
}
