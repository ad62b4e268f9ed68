package gateway

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Enter is the context switch: it ends and saves what the character is doing
// and begins something else, in one commit. The mirror is looked at first: it
// names the sessions that have to be ended. The commit script settles whether
// they still are the open ones, so a mirror that is behind costs a round trip
// and nothing else.
func (s *Service) Enter(ctx context.Context, char events.CharID, in game.Entry, opts Options) (*Answer, error) {
	in.SessionID = s.sessionID(char, opts.Key)
	fought := false
	if in.Context == game.ContextCombat && opts.Key != "" {
		var err error
		if fought, err = s.isFought(uncancelled(ctx), char, in.SessionID, opts.Key); err != nil {
			return nil, err
		}
	}
	return s.act(ctx, action{
		char: char, opts: opts, enters: in.Context,
		// The trades are for the end of the fight, which can then be decided on what is
		// remembered.
		want:   &game.Want{Sessions: true, Scenarios: true, Progress: true, Transfers: true},
		likely: func(ctx context.Context) []uuid.UUID { return s.shown(ctx, char) },
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			if fought {
				return nil, nil, &game.NotOpenError{Context: in.Context, SessionID: in.SessionID, Open: l.Contexts.Active[in.Context]}
			}
			change, preempted, err := game.Enter(&l.State, v, in)
			answer := &Answer{CharID: char, SessionID: in.SessionID, Preempted: preempted}
			if err == nil && change == nil {
				answer.Version, answer.Replayed = l.Contexts.Version, true
			}
			return change, answer, err
		},
	})
}

// isFought reports whether the fight that a request begins has ended already. Then the
// request is a repeat that comes long after its answer, and that of the fight's end, were
// forgotten. The fight's mark tells until the history has it. Where PostgreSQL does not
// answer, the fight is taken for a new one, as a trade is.
func (s *Service) isFought(ctx context.Context, char events.CharID, fight uuid.UUID, key string) (bool, error) {
	loading, cancel := s.acting.within(ctx)
	defer cancel()
	l, err := s.load(loading, char, game.Want{Dirty: true, Request: key})
	if err != nil || l.Record != "" { // the first answer is still known
		return false, err
	}
	if _, unsaved := l.Dirty[events.RowFight(fight)]; unsaved {
		return true, nil
	}
	asking, cancel := context.WithTimeout(ctx, s.PublishTimeout)
	defer cancel()
	saved, err := s.Cold.SavedFights(asking, []uuid.UUID{fight})
	if err != nil {
		s.Log.Debug("fight not looked up", "session_id", fight, "err", err)
	}
	return len(saved) > 0, nil
}

// sessionID makes the id of a session. A request with a key always makes the same id, so
// that its repeat recognises the open session as its own even where Redis has forgotten
// the answer.
func (s *Service) sessionID(char events.CharID, key string) uuid.UUID {
	if key == "" {
		return uuid.Must(uuid.NewV7())
	}
	return uuid.NewSHA1(uuid.Nil, []byte("session/"+char.String()+"/"+key))
}

// shown returns the sessions that the mirror shows; none where it does not answer now.
func (s *Service) shown(ctx context.Context, char events.CharID) []uuid.UUID {
	ctx, cancel := context.WithTimeout(ctx, s.PublishTimeout)
	defer cancel()
	contexts, err := s.Mirror.Recent(ctx, char)
	if err != nil {
		s.Log.Debug("mirror not read", "char_id", char, "err", err)
	}
	return slices.Collect(maps.Values(contexts.Active))
}

// Abandon ends the open sessions of a character that nobody has seen since
// idleSince, and saves them. It reports whether there were any.
func (s *Service) Abandon(ctx context.Context, char events.CharID, idleSince time.Time) (bool, error) {
	ended := false
	_, err := s.act(ctx, action{
		char: char,
		load: s.loader(char, game.Want{Sessions: true, Scenarios: true, Progress: true}),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			if l.LastSeen.After(idleSince) {
				return nil, nil, nil
			}
			change := game.Abandon(&l.State, v)
			ended = change != nil
			return change, &Answer{}, nil
		},
	})
	return ended, err
}

// RefreshMirror shows in the mirror what Redis has, and clears the mark that
// says it is behind.
func (s *Service) RefreshMirror(ctx context.Context, char events.CharID) error {
	l, err := s.Hot.Load(ctx, char, game.Want{})
	if err != nil {
		return err
	}
	if err := s.Mirror.Put(ctx, char, l.Contexts); err != nil {
		return err
	}
	return s.Hot.Clear(ctx, map[events.CharID]events.RowVersions{char: {game.RowContexts: l.Contexts.Version}})
}
