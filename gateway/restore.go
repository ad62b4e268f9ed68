package gateway

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// A Restoration says which past a character shall have again.
type Restoration struct {
	game.Restoration
	At time.Time
	// Kept is the version from which on the stream has every event; 0 where what it has no
	// event of is taken for not there.
	Kept events.Version
	// EndSessions ends what is open first; a fight as abandoned.
	EndSessions bool
	// DryRun changes nothing.
	DryRun bool
}

// Restored says what was changed, or would be.
type Restored struct {
	Rows       []RestoredRow
	Version    events.Version // 0 where nothing was changed
	Durability Durability
}

// A RestoredRow is a row as it is now and as it was, in words; Now is "" where there is none.
type RestoredRow struct {
	Row      events.RowKey
	Now, Was string
}

// Restore gives a character the values back that it had, as a change that is committed and
// published like any other, at a new version. The error is ErrUnknown, or one that
// game.Restore refuses with: nothing was restored then.
func (s *Service) Restore(ctx context.Context, char events.CharID, r Restoration) (*Restored, error) {
	now, err := s.load(ctx, char, game.Everything)
	switch {
	case err != nil:
		return nil, err
	case now.Version == 0:
		return nil, ErrUnknown
	}
	lookback := game.NewLookback(char, events.Version(r.At.UnixMicro()))
	if err := s.Stream.Retained(ctx, char, time.Time{}, lookback.Add); err != nil {
		return nil, err
	}
	plan := func(state *game.State, v events.Version) (*game.Change, error) {
		return game.Restore(state, v, lookback.Past(state, r.Kept), r.Restoration)
	}
	// What will be refused must not end sessions first.
	state := now.State
	if r.EndSessions {
		state.Contexts.Active = nil
	}
	change, err := plan(&state, state.Version+1)
	if err != nil {
		return nil, err
	}
	if r.DryRun {
		return &Restored{Rows: restoredRows(&state, change)}, nil
	}
	if r.EndSessions {
		if _, err := s.Abandon(ctx, char, s.Now().Add(events.MaxAhead)); err != nil {
			return nil, err
		}
	}
	out := new(Restored)
	answer, err := s.act(ctx, action{
		char: char, opts: Options{Durability: DurabilityCold}, load: s.loader(char, game.Everything),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			change, err := plan(&l.State, v)
			out.Rows = restoredRows(&l.State, change)
			return change, &Answer{}, err
		},
	})
	if err != nil {
		return nil, err
	}
	if len(out.Rows) > 0 {
		out.Version, out.Durability = answer.Version, answer.Durability
	}
	return out, nil
}

// restoredRows are those that a change, nil for none, gives back.
func restoredRows(now *game.State, c *game.Change) (rows []RestoredRow) {
	if c == nil {
		return nil
	}
	then := &game.State{Vitals: c.Vitals, Items: c.Items, Scenarios: c.Scenarios}
	if c.Progress != nil {
		then.Progress = *c.Progress
	}
	before, after := now.Describe(), then.Describe()
	for _, key := range slices.Sorted(maps.Keys(after)) {
		rows = append(rows, RestoredRow{key, withoutVersion(before[key]), withoutVersion(after[key])})
	}
	return rows
}

// withoutVersion is a description of a row without its last words.
func withoutVersion(text string) string {
	if i := strings.LastIndex(text, ", version "); i >= 0 {
		return text[:i]
	}
	return text
}
