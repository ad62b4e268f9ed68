package hot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

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
		c.Contexts, c.Active = make(map[game.Context]uuid.UUID), joined.Contexts.Active
		for _, context := range game.AllContexts {
			c.Contexts[context] = joined.Contexts.Active[context]
		}
	}
	answers, err := s.forgotten(ctx, c.Char, with.Answers)
	if err != nil {
		return err
	}
	args := newArgs(s, modeJoin, c, game.Request{}, with.Beginning)
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
