package hot

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// The modes of commit.lua.
const (
	modeCommit = 'c'
	modeBlind  = 'b'
	modeJoin   = 'j'
	modeRefuse = 'r'
)

// Commit applies a change, all or nothing. Its errors:
// game.ErrUnverified, game.ErrAhead, *game.MovedError, *game.ReplayError, or an
// *events.UnavailableError, after which the change may have been applied or not.
func (s *Store) Commit(ctx context.Context, c *game.Change, r game.Request) error {
	return s.commit(ctx, modeCommit, c, r)
}

// CommitBlind is Commit for a change that expects nothing, to a character whose
// copy cannot be verified now. The copy stays unverified.
func (s *Store) CommitBlind(ctx context.Context, c *game.Change, r game.Request) error {
	return s.commit(ctx, modeBlind, c, r)
}

// CommitJoin writes a copy that was joined from all sources over loaded, marks
// the rows that are dirty, remembers answers that were forgotten, and calls the
// copy verified. It returns a *game.MovedError where the character, or the
// beginning that the join was made under, changed meanwhile.
func (s *Store) CommitJoin(ctx context.Context, loaded, joined *game.State, with game.Joining) error {
	c := &game.Change{
		Char: joined.Char, Version: joined.Version, Vitals: joined.Vitals,
		Items: joined.Items, Scenarios: joined.Scenarios, Sessions: joined.Sessions,
		Transfers: joined.Transfers,
	}
	for id := range loaded.Sessions {
		if _, kept := joined.Sessions[id]; !kept {
			c.Ended = append(c.Ended, id)
		}
	}
	if joined.Progress.Version > 0 {
		c.Progress = &joined.Progress
	}
	if joined.Contexts.Version > 0 {
		c.Contexts = make(map[game.Context]uuid.UUID)
		for _, context := range game.AllContexts {
			c.Contexts[context] = joined.Contexts.Active[context]
		}
	}
	answers, err := s.forgotten(ctx, c.Char, with.Answers)
	if err != nil {
		return err
	}
	args := newArgs(s, modeJoin, c, game.Request{}, with.Born)
	args.expectVersion("version", loaded.Version)
	args.marks(with.Dirty)
	if err := args.writes(); err != nil {
		return err
	}
	args.setField(fieldCopy, rand.Text())
	args.remember(answers)
	return s.run(ctx, args)
}

func (s *Store) commit(ctx context.Context, mode byte, c *game.Change, r game.Request) error {
	args, err := s.commitArgs(mode, c, r)
	if err != nil {
		return err
	}
	return s.run(ctx, args)
}

// commitArgs collects the arguments of a change.
func (s *Store) commitArgs(mode byte, c *game.Change, r game.Request) (*args, error) {
	args := newArgs(s, mode, c, r, "")
	for _, part := range slices.Sorted(maps.Keys(c.Expect)) {
		args.expectVersion(partField(part), c.Expect[part])
	}
	if c.Copy != "" {
		args.expect(fieldCopy, c.Copy)
	}
	args.marks(c.Marks())
	if err := args.writes(); err != nil {
		return nil, fmt.Errorf("commit version %d of character %d: %w", c.Version, c.Char, err)
	}
	return args, nil
}

func (s *Store) run(ctx context.Context, a *args) error {
	keys, argv := a.all()
	reply, err := s.callIn(ctx, a.sent[:], fnCommit, keys, argv).Result()
	if err != nil {
		return fmt.Errorf("commit version %d of character %d: %w", a.change.Version, a.change.Char, unavailable(err))
	}
	usedArgs.Put(a)
	return readReply(reply)
}

func readReply(reply any) error {
	if reply == int64(1) {
		return nil
	}
	var word, detail string
	if words, _ := reply.([]any); len(words) > 0 {
		word, _ = words[0].(string)
		if len(words) > 1 {
			detail, _ = words[1].(string)
		}
	}
	switch word {
	case "replay":
		return &game.ReplayError{Record: detail}
	case "unverified":
		return game.ErrUnverified
	case "ahead":
		return game.ErrAhead
	case "conflict":
		version, err := strconv.ParseInt(detail, 10, 64)
		return errors.Join(&game.MovedError{Version: events.Version(version)}, err)
	}
	return fmt.Errorf("commit function answered %v", reply)
}

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

// newArgs begins the arguments; born is the beginning that must be the one of
// the copies near this one, "" for any.
func newArgs(s *Store, mode byte, c *game.Change, r game.Request, born string) *args {
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
	if born != "" {
		a.flags[4] = '+'
		a.keys = append(a.keys, s.indexes.key(indexBorn, c.Char))
		a.head = append(a.head, born)
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

// writes turns the change into commands.
func (a *args) writes() error {
	c := a.change
	if c.Vitals != nil {
		a.touch(game.PartVitals)
		a.set(keyVitals(c.Char), encodeVitals(c.Vitals)...)
	}
	if c.Progress != nil {
		a.touch(game.PartProgress)
		a.set(keyProgress(c.Char), "xp", itoa(c.Progress.XP), "version", itoa(c.Progress.Version))
	}
	a.writeItems()
	a.writeContexts()
	return errors.Join(a.writeScenarios(), a.writeSessions(), a.writeTransfers())
}

func (a *args) writeItems() {
	if len(a.change.Items) == 0 {
		return
	}
	a.touch(game.PartItems)
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(a.change.Items)), maxFields) {
		values := make([]string, 0, 2*len(ids))
		for _, id := range ids {
			values = append(values, id, encodeItem(a.change.Items[id]))
		}
		a.set(keyItems(a.change.Char), values...)
	}
}

// maxFields bounds one HSET: Lua cannot unpack more than some thousand values.
const maxFields = 1000

func (a *args) writeContexts() {
	if len(a.change.Contexts) == 0 {
		return
	}
	a.touch(game.PartContexts)
	for _, context := range slices.Sorted(maps.Keys(a.change.Contexts)) {
		if id := a.change.Contexts[context]; id != uuid.Nil {
			a.setField(contextField(context), id.String())
		} else {
			a.command("HDEL", a.keys[0], contextField(context))
		}
	}
}

func (a *args) writeScenarios() error {
	if len(a.change.Scenarios) == 0 {
		return nil
	}
	a.touch(game.PartScenarios)
	for _, id := range slices.Sorted(maps.Keys(a.change.Scenarios)) {
		text, err := encodeScenario(a.change.Scenarios[id])
		if err != nil {
			return fmt.Errorf("scenario %q: %w", id, err)
		}
		a.set(keyScenarios(a.change.Char), id, text)
	}
	return nil
}

func (a *args) writeTransfers() error {
	for id, t := range a.change.Transfers {
		text, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("trade %s: %w", id, err)
		}
		a.set(keyTransfers(a.change.Char), id.String(), string(text))
	}
	return nil
}

func (a *args) writeSessions() error {
	c := a.change
	if len(c.Sessions)+len(c.Ended) == 0 {
		return nil
	}
	a.touch(game.PartSessions)
	for id, session := range c.Sessions {
		values, err := encodeSession(session)
		if err != nil {
			return fmt.Errorf("session %s: %w", id, err)
		}
		a.set(keySession(c.Char, id), values...)
	}
	for _, id := range c.Ended {
		a.command("DEL", keySession(c.Char, id))
	}
	return nil
}
