package hot

import (
	"slices"
	"strconv"
	"sync"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// args collects what commit.lua takes.
type args struct {
	change  *game.Change
	version string // of the change
	flags   [7]byte
	keys    []string
	head    []string
	// The fields of the ac hash that must have some value, and these values; those
	// that get one, and it.
	expected, values, fields []string
	rows, hashes             section
	into                     []string // the keys of the hashes
	commands                 []string
	// What most changes need is in one piece of memory, which is used again; more goes
	// beside it.
	room [64]string // the texts of all the above
	argv [64]string // these in their order, the keys aside
	sent [80]any    // the command, which points to keys and argv
}

// usedArgs has those whose command was answered. One without an answer may still be
// on its way.
var usedArgs = sync.Pool{New: func() any { return new(args) }}

// A section is a counted part of the function's arguments.
type section struct {
	count int
	texts []string
}

func (s *section) add(texts ...string) {
	s.count++
	s.texts = append(s.texts, texts...)
}

// newArgs begins the arguments; beginning is the token that the copies near this one
// must have, "" for any.
func newArgs(s *Store, mode byte, c *game.Change, r game.Request, beginning string) *args {
	a := usedArgs.Get().(*args)
	a.change, a.version, a.flags = c, itoa(c.Version), [7]byte{mode, '-', '-', '-', '-'}
	a.rows, a.hashes, a.commands = section{}, section{}, nil
	a.keys, a.head, a.into = a.room[:0:8], a.room[8:8:14], a.room[14:14:18]
	a.expected, a.values, a.fields = a.room[18:18:22], a.room[22:22:26], a.room[26:26:32]
	a.rows.texts, a.hashes.texts = a.room[32:32:40], a.room[40:40]
	a.keys = append(a.keys, keyContexts(c.Char), keyMarks(c.Char), s.indexes.key(indexDirty, c.Char))
	a.head = append(a.head, a.version, c.Char.String())
	if !c.Unseen {
		a.flags[1] = '+'
		a.keys = append(a.keys, s.indexes.key(indexIdle, c.Char))
	}
	if r.Key != "" {
		a.flags[2] = '+'
		a.keys = append(a.keys, keyRequests(c.Char), keyRequestsOld(c.Char))
		a.head = append(a.head, r.Key, r.Record)
	}
	if len(c.Contexts) > 0 {
		a.flags[3] = '+'
		a.keys = append(a.keys, s.indexes.key(indexOpen, c.Char))
	}
	if beginning != "" {
		a.flags[4] = '+'
		a.keys = append(a.keys, s.indexes.key(indexBeginning, c.Char))
		a.head = append(a.head, beginning)
	}
	return a
}

// all lists the keys and the arguments.
func (a *args) all() (keys, argv []string) {
	a.flags[5] = '0' + byte(len(a.expected))
	a.flags[6] = '0' + byte(len(a.fields)/2)
	argv = append(append(a.argv[:0], string(a.flags[:])), a.head...)
	argv = append(append(append(argv, a.expected...), a.values...), a.fields...)
	for _, s := range []*section{&a.rows, &a.hashes} {
		argv = append(append(argv, strconv.Itoa(s.count)), s.texts...)
	}
	return append(a.keys, a.into...), append(argv, a.commands...)
}

// expect lets a field of the ac hash have a value; "" for none.
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

func (a *args) marks(rows []events.Row) {
	for _, row := range rows {
		a.rows.add(string(row.Key), a.text(row.Version))
	}
}

// text writes a version, which mostly is that of the change.
func (a *args) text(v events.Version) string {
	if v == a.change.Version {
		return a.version
	}
	return itoa(v)
}

// set gives the fields of a hash values, in pairs. The ac hash has its own way.
func (a *args) set(key string, pairs ...string) {
	a.into = append(a.into, key)
	a.hashes.add(strconv.Itoa(len(pairs)))
	a.hashes.texts = append(a.hashes.texts, pairs...)
}

// setField gives a field of the ac hash a value.
func (a *args) setField(field, value string) { a.fields = append(a.fields, field, value) }

// command adds another command on key, whose number the function gets instead.
func (a *args) command(name, key string, values ...string) {
	n := slices.Index(a.keys, key) + 1
	if n == 0 {
		a.keys = append(a.keys, key)
		n = len(a.keys)
	}
	a.commands = append(append(a.commands, name, strconv.Itoa(n), strconv.Itoa(len(values))), values...)
}

// touch sets the version of a part of the character.
func (a *args) touch(p game.Part) {
	a.setField(partField(p), a.version)
}
