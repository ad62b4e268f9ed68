package gateway

import (
	"context"
	"errors"
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
	// Kept returns the version from which on the stream has every event; 0 where what it
	// has no event of is taken for not there.
	Kept func(ctx context.Context) (events.Version, error)
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
	past := &pastReader{s: s, Restoration: r, lookback: game.NewLookback(char, events.Version(r.At.UnixMicro()))}
	if err := past.read(ctx, char); err != nil {
		return nil, err
	}
	// What will be refused, or was restored before, must not end sessions first.
	state := past.now.State
	if r.EndSessions {
		state.Contexts.Active = nil
	}
	change, err := past.restore(&state, state.Version+1)
	if err != nil {
		return nil, err
	}
	if r.DryRun || change == nil {
		return &Restored{Rows: restoredRows(&state, change)}, nil
	}
	if r.EndSessions {
		if _, err := s.Abandon(ctx, char, s.Now().Add(events.MaxAhead)); err != nil {
			return nil, err
		}
	}
	for {
		restored, err := s.restoreAs(ctx, char, past)
		if !errors.Is(err, errReadOn) {
			return restored, err
		}
		if err := past.read(ctx, char); err != nil {
			return nil, err
		}
	}
}

// restoreAs is Restore with what was read; errReadOn where that is not all.
func (s *Service) restoreAs(ctx context.Context, char events.CharID, past *pastReader) (*Restored, error) {
	out := new(Restored)
	answer, err := s.act(ctx, action{
		char: char, opts: Options{Durability: DurabilityCold}, load: s.loader(char, game.Everything),
		decide: func(l *game.Loaded, v events.Version) (*game.Change, *Answer, error) {
			if past.isOutdated(l) {
				return nil, nil, errReadOn
			}
			change, err := past.restore(&l.State, v)
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

// errReadOn means that the character has lived on since its events were read.
var errReadOn = errors.New("the character has changed since its events were read")

// pastReader reads what a character was.
type pastReader struct {
	s *Service
	Restoration
	lookback *game.Lookback
	now      *game.Loaded // before the events were read
	kept     events.Version
	since    time.Time // when they were last read; some may have come while they were
}

// read reads the character's events, the second time those that are new. A trade that was
// committed before is in one of them, or in the hot state that is loaded first: it stays
// there until it is saved.
func (p *pastReader) read(ctx context.Context, char events.CharID) (err error) {
	begun := p.s.Now()
	if p.now, err = p.s.load(ctx, char, game.Everything); err != nil {
		return err
	}
	if p.now.Version == 0 {
		return ErrUnknown
	}
	p.lookback.AddTrades(p.now.Transfers)
	if err := p.s.Stream.Retained(ctx, char, p.since, p.lookback.Add); err != nil {
		return err
	}
	p.since = begun.Add(-events.MaxAhead) // clocks differ
	p.kept, err = p.Kept(ctx)             // last, because the stream drops events meanwhile
	return err
}

// isOutdated reports whether the character has lived on since the events were read: it may
// have traded items away, so that there would be more of them than before. Vitals are left
// out, because they change all the time and go nowhere.
func (p *pastReader) isOutdated(l *game.Loaded) bool {
	return slices.ContainsFunc([]game.Part{game.PartProgress, game.PartItems, game.PartScenarios},
		func(part game.Part) bool { return l.Parts[part] != p.now.Parts[part] })
}

func (p *pastReader) restore(state *game.State, v events.Version) (*game.Change, error) {
	return game.Restore(state, v, p.lookback.Past(state, p.kept), p.Restoration.Restoration)
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
