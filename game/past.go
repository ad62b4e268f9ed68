package game

import (
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// A Past is what is known of a character at an earlier moment.
type Past struct {
	At events.Version // that moment, in microseconds
	// State has the rows as they were: vitals, experience, items, scenarios. An item
	// that the character did not have is there with quantity 0.
	State *State
	// Unknown are the rows that have changed since, and nothing says what they were.
	Unknown []events.RowKey
	// Trades are those that have moved items of the character since.
	Trades []events.Transfer
}

// A Lookback works out what a character was at a moment, from its events. It keeps what it
// needs of them, not the events.
type Lookback struct {
	past Past
	// before has, of items and the experience, what the first event after the moment says.
	before map[events.RowKey]before
}

// before is what an event says that a row was until then.
type before struct {
	version events.Version // of the event
	was     int64
	says    bool // whether it does; what is said again does not
}

// NewLookback begins to look at what a character was at a version.
func NewLookback(char events.CharID, at events.Version) *Lookback {
	return &Lookback{Past{At: at, State: &State{Char: char}}, make(map[events.RowKey]before)}
}

// Add takes in one of the character's events, in any order and any number of times.
func (l *Lookback) Add(e *events.StateChanged) {
	l.past.learn(FromEvent(e))
	for _, t := range e.Transfers() {
		l.past.learnTrade(t)
	}
	var changes []events.ItemChange
	switch data := e.Data.(type) {
	case events.Inventory:
		changes = data.Items
	case events.Combat:
		changes = data.Loot
		l.note(events.RowProgress, before{e.Version, data.XP - data.XPGained, e.Cause != events.CauseRestore})
	}
	for _, c := range changes {
		l.note(events.RowItem(c.ItemID), before{c.VersionIn(e.Version), c.Quantity - c.Delta, c.Delta != 0})
	}
}

// AddTrades takes in trades that may be in no event yet.
func (l *Lookback) AddTrades(known map[uuid.UUID]events.Transfer) {
	for _, t := range known {
		l.past.learnTrade(t)
	}
}

func (l *Lookback) note(key events.RowKey, b before) {
	known, ok := l.before[key]
	first := !ok || b.version < known.version || b.version == known.version && b.says
	if b.version > l.past.At && first {
		l.before[key] = b
	}
}

// contradicts reports whether the first event after the moment says that a row was not
// what it was last said to be: no event says what lies between.
func (l *Lookback) contradicts(key events.RowKey, was int64) bool {
	first := l.before[key]
	return first.says && first.was != was
}

// Past is what the character was, which is now all that now says. Every event of it since
// version kept must have been added; 0 where no other is to be expected: then what has no
// older event was not there.
//
// It is what was published by then. A change that was only ever committed in Redis, and
// overtaken before anybody could save it, has left no event; a row is unknown where the
// next event shows that.
func (l *Lookback) Past(now *State, kept events.Version) *Past {
	l.past.learn(now) // a later now may have lost it
	p := &Past{At: l.past.At, State: &State{Char: now.Char}, Trades: l.past.Trades}
	Join(p.State, l.past.State)
	changed := func(key events.RowKey, v events.Version, set func(was int64)) {
		if v <= p.At {
			return
		}
		first := l.before[key]
		switch {
		case first.says && kept <= p.At:
			set(first.was)
		case kept == 0:
			set(0)
		default:
			p.Unknown = append(p.Unknown, key)
		}
	}
	if p.State.Vitals == nil && now.Vitals != nil {
		changed(events.RowVitals, now.Vitals.Version, func(int64) {}) // there were none; those of now stay
	}
	if p.State.Progress.Version == 0 {
		changed(events.RowProgress, now.Progress.Version, func(was int64) { p.State.Progress.XP = was })
	} else if kept > 0 && l.contradicts(events.RowProgress, p.State.Progress.XP) {
		p.Unknown = append(p.Unknown, events.RowProgress)
	}
	for _, id := range slices.Sorted(maps.Keys(now.Items)) {
		if then, ok := p.State.Items[id]; !ok {
			changed(events.RowItem(id), now.Items[id].Version, func(was int64) { p.State.Items[id] = Item{Quantity: was} })
		} else if kept > 0 && l.contradicts(events.RowItem(id), then.Quantity) {
			p.Unknown = append(p.Unknown, events.RowItem(id))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now.Scenarios)) {
		if _, ok := p.State.Scenarios[id]; !ok {
			// No event takes a scenario away: it is given up at its beginning.
			changed(events.RowScenario(id), now.Scenarios[id].Version, func(int64) {
				p.State.Scenarios[id] = Scenario{Status: StatusAbandoned, Data: noData, SessionID: now.Scenarios[id].SessionID}
			})
		}
	}
	return p
}

// learn takes in the rows of a copy that are not younger than the moment.
func (p *Past) learn(s *State) {
	then := &State{}
	if s.Vitals != nil && s.Vitals.Version <= p.At {
		then.Vitals = s.Vitals
	}
	if s.Progress.Version <= p.At {
		then.Progress = s.Progress
	}
	then.Items, then.Scenarios = upTo(p.At, s.Items), upTo(p.At, s.Scenarios)
	Join(p.State, then)
}

func upTo[K comparable, V versioned](at events.Version, rows map[K]V) map[K]V {
	then := make(map[K]V)
	for key, row := range rows {
		if row.version() <= at {
			then[key] = row
		}
	}
	return then
}

// learnTrade notes a trade that has moved items of the character since.
func (p *Past) learnTrade(t events.Transfer) {
	ours := t.From == p.State.Char && t.Version > p.At || t.To == p.State.Char && t.ToVersion > p.At
	if ours && !slices.ContainsFunc(p.Trades, func(known events.Transfer) bool { return known.ID == t.ID }) {
		p.Trades = append(p.Trades, t)
	}
}
