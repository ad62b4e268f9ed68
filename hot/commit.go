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
	"time"

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

// requestGeneration is how many answers are kept before the older half goes:
// the newest 256 to 512 of a character, for a day after its last request. It is
// the same in commit.lua.
const requestGeneration = 256

// requestMemory is the same in commit.lua.
const requestMemory = 24 * time.Hour

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

// Refuse keeps the answer of a request that changes nothing, so that the same
// request, late on its way, is not decided anew when the state has changed. It
// returns a *game.ReplayError where the key is known already.
func (s *Store) Refuse(ctx context.Context, char events.CharID, r game.Request) error {
	return s.run(ctx, newArgs(s, modeRefuse, &game.Change{Char: char, Unseen: true}, r, ""))
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
	args := newArgs(s, modeJoin, c, game.Request{}, with.Born)
	args.expect("version", loaded.Version)
	args.marks(with.Dirty)
	if err := args.writes(); err != nil {
		return err
	}
	args.write("HSET", args.keys[0], fieldCopy, rand.Text())
	args.remember(with.Answers)
	return s.run(ctx, args)
}

// remember keeps the newest answers, where Redis does not have them itself.
func (a *args) remember(answers []game.Request) {
	answers = answers[max(0, len(answers)-requestGeneration):]
	for _, r := range answers {
		a.write("HSETNX", keyRequests(a.change.Char), r.Key, r.Record)
	}
	if len(answers) > 0 {
		a.write("EXPIRE", keyRequests(a.change.Char), itoa(int64(requestMemory/time.Second)))
	}
}

func (s *Store) commit(ctx context.Context, mode byte, c *game.Change, r game.Request) error {
	args := newArgs(s, mode, c, r, "")
	for _, part := range slices.Sorted(maps.Keys(c.Expect)) {
		args.expect(partField(part), c.Expect[part])
	}
	if c.Copy != "" {
		args.expects.add(fieldCopy, c.Copy)
	}
	args.marks(c.Marks())
	if err := args.writes(); err != nil {
		return fmt.Errorf("commit version %d of character %d: %w", c.Version, c.Char, err)
	}
	return s.run(ctx, args)
}

func (s *Store) run(ctx context.Context, a *args) error {
	reply, err := s.call(ctx, fnCommit, a.keys, a.argv()...).Result()
	if err != nil {
		return fmt.Errorf("commit version %d of character %d: %w", a.change.Version, a.change.Char, unavailable(err))
	}
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
	keys    []string
	head    []string
	// The counted parts of the arguments.
	expects, parts, rows, commands section
	// room is where most of the texts are: one piece of memory for all.
	room [64]string
}

// A section is a counted part of the function's arguments.
type section struct {
	count  int
	values []string
}

func (s *section) add(values ...string) {
	s.count++
	s.values = append(s.values, values...)
}

// newArgs begins the arguments; born is the beginning that must be the one of
// the copies near this one, "" for any.
func newArgs(s *Store, mode byte, c *game.Change, r game.Request, born string) *args {
	a := &args{change: c, version: itoa(c.Version)}
	a.keys, a.head = a.room[:0:10], a.room[10:10:16]
	a.expects.values, a.parts.values = a.room[16:16:24], a.room[24:24:28]
	a.rows.values, a.commands.values = a.room[28:28:36], a.room[36:36]
	a.keys = append(a.keys, keyContexts(c.Char), keyMarks(c.Char), s.indexes.key(indexDirty, c.Char))
	flags := []byte{mode, '-', '-', '-', '-'}
	a.head = append(a.head, "", a.version, c.Char.String())
	if !c.Unseen {
		flags[1] = '+'
		a.keys = append(a.keys, s.indexes.key(indexIdle, c.Char))
	}
	if r.Key != "" {
		flags[2] = '+'
		a.keys = append(a.keys, keyRequests(c.Char), keyRequestsOld(c.Char))
		a.head = append(a.head, r.Key, r.Record)
	}
	if len(c.Contexts) > 0 {
		flags[3] = '+'
		a.keys = append(a.keys, s.indexes.key(indexOpen, c.Char))
	}
	if born != "" {
		flags[4] = '+'
		a.keys = append(a.keys, s.indexes.key(indexBorn, c.Char))
		a.head = append(a.head, born)
	}
	a.head[0] = string(flags)
	return a
}

func (a *args) argv() []string {
	sections := [...]*section{&a.expects, &a.parts, &a.rows, &a.commands}
	n := len(a.head) + len(sections)
	for _, s := range sections {
		n += len(s.values)
	}
	argv := append(make([]string, 0, n), a.head...)
	for _, s := range sections {
		argv = append(append(argv, strconv.Itoa(s.count)), s.values...)
	}
	return argv
}

func (a *args) expect(field string, v events.Version) {
	if v == 0 {
		a.expects.add(field, "")
		return
	}
	a.expects.add(field, itoa(v))
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

// write adds one command on key, whose number the function gets instead.
func (a *args) write(command, key string, values ...string) {
	n := slices.Index(a.keys, key) + 1
	if n == 0 {
		a.keys = append(a.keys, key)
		n = len(a.keys)
	}
	a.commands.add(command, strconv.Itoa(n), strconv.Itoa(len(values)))
	a.commands.values = append(a.commands.values, values...)
}

// touch sets the version of a part of the character.
func (a *args) touch(p game.Part) {
	a.parts.add(partField(p))
}

// writes turns the change into commands.
func (a *args) writes() error {
	c := a.change
	if c.Vitals != nil {
		a.touch(game.PartVitals)
		a.write("HSET", keyVitals(c.Char), encodeVitals(c.Vitals)...)
	}
	if c.Progress != nil {
		a.touch(game.PartProgress)
		a.write("HSET", keyProgress(c.Char), "xp", itoa(c.Progress.XP), "version", itoa(c.Progress.Version))
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
		a.write("HSET", keyItems(a.change.Char), values...)
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
			a.write("HSET", a.keys[0], contextField(context), id.String())
		} else {
			a.write("HDEL", a.keys[0], contextField(context))
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
		a.write("HSET", keyScenarios(a.change.Char), id, text)
	}
	return nil
}

func (a *args) writeTransfers() error {
	for id, t := range a.change.Transfers {
		text, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("trade %s: %w", id, err)
		}
		a.write("HSET", keyTransfers(a.change.Char), id.String(), string(text))
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
		a.write("HSET", keySession(c.Char, id), values...)
	}
	for _, id := range c.Ended {
		a.write("DEL", keySession(c.Char, id))
	}
	return nil
}
