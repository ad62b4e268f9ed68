package verify

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// copies is what is known of one character.
type copies struct {
	char  events.CharID
	hot   *game.Loaded // whose Known is false where Redis does not have it
	cold  *game.State
	saved map[uuid.UUID]events.Version // fights in the history, of those that hot or the stream name
	// stream joins the retained events; nil where it was not asked.
	stream *game.State
	newest map[events.RowKey]events.Stored // for each row, the event with its highest version
}

// read reads all copies of some characters. Hot comes first and cold last: what
// is saved between the reads is then in the last.
func (v *Verifier) read(ctx context.Context, chars []events.CharID) ([]*copies, error) {
	all := make([]*copies, len(chars))
	byChar := make(map[events.CharID]*copies, len(chars))
	for i, char := range chars {
		loaded, err := v.Hot.Load(ctx, char, game.Everything)
		if err != nil {
			return nil, err
		}
		all[i] = &copies{char: char, hot: loaded}
		byChar[char] = all[i]
	}
	if v.Stream != nil {
		if err := v.readStream(ctx, all, byChar); err != nil {
			return nil, err
		}
	}
	cold, err := v.Cold.LoadMany(ctx, chars)
	if err != nil {
		return nil, err
	}
	for _, c := range all {
		c.cold = cold[c.char]
	}
	if err := v.leaveOutTrades(ctx, all); err != nil {
		return nil, err
	}
	return all, v.readFights(ctx, all)
}

// leaveOutTrades leaves the trades that PostgreSQL has out of the other copies:
// a character forgets a trade when it is saved, and keeps only what it did to
// its items.
func (v *Verifier) leaveOutTrades(ctx context.Context, all []*copies) error {
	ids := make(map[uuid.UUID]bool)
	for _, c := range all {
		for _, trades := range c.trades() {
			for id := range trades {
				ids[id] = true
			}
		}
	}
	saved, err := v.Cold.Transfers(ctx, slices.Collect(maps.Keys(ids)))
	if err != nil {
		return err
	}
	for _, c := range all {
		for _, trades := range c.trades() {
			maps.DeleteFunc(trades, func(id uuid.UUID, t events.Transfer) bool {
				stored, ok := saved[id]
				return ok && stored.SettledFor(c.char) && stored.ToVersion >= t.ToVersion
			})
		}
	}
	return nil
}

func (c *copies) trades() []map[uuid.UUID]events.Transfer {
	all := []map[uuid.UUID]events.Transfer{c.hot.Transfers}
	if c.stream != nil {
		all = append(all, c.stream.Transfers)
	}
	return all
}

// readStream reads what the stream holds of all characters or, without
// WholeStream, of those that Redis does not have: their cold copy has nothing
// else to be compared with.
func (v *Verifier) readStream(ctx context.Context, all []*copies, byChar map[events.CharID]*copies) error {
	var chars []events.CharID
	for _, c := range all {
		if v.WholeStream || !c.hot.Known {
			c.stream, c.newest = &game.State{Char: c.char}, make(map[events.RowKey]events.Stored)
			chars = append(chars, c.char)
		}
	}
	return v.Stream.History(ctx, chars, func(e events.Stored) { byChar[e.CharID].addEvent(e) })
}

func (c *copies) addEvent(e events.Stored) {
	game.Join(c.stream, game.FromEvent(&e.StateChanged))
	for _, row := range saidRows(&e.StateChanged) {
		// Of the same change published twice the later one counts: savers may
		// not have come to it yet.
		if row.Version >= rowVersion(c.newest[row.Key], row.Key) {
			c.newest[row.Key] = e
		}
	}
}

// saidRows are the rows that an event sets, and those of all trades that it carries:
// also of one in escrow, which its sender is not done with.
func saidRows(e *events.StateChanged) []events.Row {
	rows := slices.Clip(e.Rows()) // which may be somebody's own
	for _, t := range e.Transfers() {
		rows = append(rows, t.Row())
	}
	return rows
}

// rowVersion is the version that an event gives a row; 0 where the event does not name
// the row.
func rowVersion(e events.Stored, key events.RowKey) (v events.Version) {
	if e.Data == nil {
		return 0
	}
	for _, row := range saidRows(&e.StateChanged) {
		if row.Key == key {
			v = max(v, row.Version)
		}
	}
	return v
}

// readFights asks which of the fights that the other copies name are saved.
func (v *Verifier) readFights(ctx context.Context, all []*copies) error {
	owners := make(map[uuid.UUID]*copies)
	for _, c := range all {
		c.saved = make(map[uuid.UUID]events.Version)
		for id, session := range c.hot.Sessions {
			if session.Result != nil {
				owners[id] = c
			}
		}
		for row := range c.newest {
			if id, ok := row.Fight(); ok {
				owners[id] = c
			}
		}
	}
	sessions := make([]uuid.UUID, 0, len(owners))
	for id := range owners {
		sessions = append(sessions, id)
	}
	saved, err := v.Cold.SavedFights(ctx, sessions)
	for id, version := range saved {
		owners[id].saved[id] = version
	}
	return err
}

// A Copy is one copy of a row.
type Copy struct {
	Text    string         `json:"value"` // "absent" where the copy lacks the row
	Version events.Version `json:"version,omitempty"`
}

const absent = "absent"

// rows describes each row of a state. Equal texts are equal rows.
func rows(s *game.State) map[events.RowKey]Copy {
	out := make(map[events.RowKey]Copy)
	if s == nil {
		return out
	}
	texts := s.Describe()
	for key, version := range s.Rows() {
		text := texts[key]
		if isFight(key) || text == "" {
			text = fmt.Sprintf("version %d", version)
		}
		out[key] = Copy{text, version}
	}
	return out
}

// coldRows are the saved rows, with those fights that somebody names.
func (c *copies) coldRows() map[events.RowKey]Copy {
	out := rows(c.cold)
	for id, version := range c.saved {
		out[events.RowFight(id)] = Copy{fmt.Sprintf("version %d", version), version}
	}
	return out
}
