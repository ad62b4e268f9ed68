package gateway

import (
	"maps"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/recent"
)

// copies remembers the state in which this gateway left characters, so that the next
// action of a character need not load it. What is remembered may be outdated, as what was
// loaded may be by the time of its commit; either way the commit finds out, by the parts
// and the copy that it expects. What no commit guards, a refusal or an answer that
// changes nothing, is never decided on what is remembered.
type copies struct {
	known *recent.Map[events.CharID, *remembered]
}

const (
	// mostCopies is how many copies of the usual size, a kilobyte or two, are remembered;
	// of larger ones there are fewer: see weight.
	mostCopies = 65_536
	copyBytes  = 4 << 10
	itemBytes  = 64
	// mostItems and mostData, in bytes of the game's own data, bound one copy.
	mostItems = 256
	mostData  = 16 << 10
)

func newCopies() copies {
	return copies{recent.NewWeighed[events.CharID](mostCopies*copyBytes, (*remembered).weight)}
}

// weight estimates the memory that m takes, in bytes.
func (m *remembered) weight() int {
	return copyBytes + itemBytes*len(m.loaded.Items) + m.data()
}

// remembered is a copy that one action has at a time: whoever takes it from the map has
// it alone, and puts it back after a commit or not at all.
type remembered struct {
	// loaded is the copy, in the form that actions are decided on; only its State is
	// remembered.
	loaded game.Loaded
	// has tells which parts the state has. The items that it has are the keys of the map,
	// even those that the character has none of; with has.AllItems the map is the whole
	// bag.
	has game.Want
	// contested means that others change the character, too. The copy is then not used
	// until a load has found the character as the copy has it.
	contested bool
	// recalled means that the action in hand is decided on the copy as it was remembered.
	recalled bool
}

// take takes out what is remembered of a character; it is recalled if an action that
// wants this can be decided on it.
func (c copies) take(char events.CharID, want *game.Want) *remembered {
	m, ok := c.known.Take(char)
	if !ok {
		return &remembered{}
	}
	m.recalled = !m.contested && m.covers(want)
	return m
}

// put remembers a copy as the commit of a change left it.
func (c copies) put(m *remembered, change *game.Change) {
	m.loaded.Apply(change)
	maps.DeleteFunc(m.loaded.Sessions, func(_ uuid.UUID, s game.Session) bool { return !s.Open() })
	// A commit cannot expect a copy without a name. Trades that are not saved have to be
	// read from Redis each time: it forgets them when they are saved.
	if m.loaded.Copy != "" && len(m.loaded.Transfers) == 0 && len(m.loaded.Items) <= mostItems && m.data() <= mostData {
		c.known.Put(change.Char, m)
	}
}

// data is how many bytes the game's own data of a copy takes: each scenario, and a fight,
// may have many thousands.
func (m *remembered) data() (n int) {
	for id, scenario := range m.loaded.Scenarios {
		n += len(id) + len(scenario.Data)
	}
	for _, session := range m.loaded.Sessions {
		n += len(session.Data)
	}
	return n
}

// forget drops a copy that this gateway itself has outdated, by a commit that was not
// decided on it.
func (c copies) forget(char events.CharID) { c.known.Forget(char) }

// contest notes that a copy was outdated.
func (c copies) contest(char events.CharID) {
	c.known.Put(char, &remembered{contested: true})
}

func (m *remembered) covers(want *game.Want) bool {
	for _, id := range want.Items {
		if _, ok := m.loaded.Items[id]; !ok && !m.has.AllItems {
			return false
		}
	}
	return !want.Dirty && !want.Vitals && (m.has.AllItems || !want.AllItems) &&
		(m.has.Progress || !want.Progress) && (m.has.Scenarios || !want.Scenarios) &&
		(m.has.Sessions || !want.Sessions) && (m.has.Transfers || !want.Transfers)
}

// learn takes in what was loaded: beside what is remembered of the same copy at
// the same versions, else instead of it.
func (m *remembered) learn(l *game.Loaded, want *game.Want) {
	if !m.isAt(&l.State) {
		m.contested = m.contested || m.loaded.Copy != ""
		m.loaded.State = game.State{Char: l.Char, Copy: l.Copy, Parts: l.Parts, Contexts: l.Contexts}
		m.has = game.Want{}
	} else {
		m.contested = false
	}
	m.loaded.Version = l.Version
	if m.loaded.Items == nil {
		m.loaded.Items = make(map[string]game.Item, len(want.Items))
	}
	for _, id := range want.Items {
		m.loaded.Items[id] = l.Items[id]
	}
	if want.Progress {
		m.has.Progress, m.loaded.Progress = true, l.Progress
	}
	if want.Scenarios {
		m.has.Scenarios, m.loaded.Scenarios = true, l.Scenarios
	}
	if want.Sessions {
		m.has.Sessions, m.loaded.Sessions = true, l.Sessions
	}
	if want.Transfers {
		m.has.Transfers, m.loaded.Transfers = true, l.Transfers
	}
	m.knowEmpty()
}

// knowEmpty notes that a part without a version is empty: the fights of a character that
// never fought need not be loaded.
func (m *remembered) knowEmpty() {
	never := func(p game.Part) bool { return m.loaded.Parts[p] == 0 }
	m.has.AllItems = m.has.AllItems || never(game.PartItems)
	m.has.Progress = m.has.Progress || never(game.PartProgress)
	m.has.Scenarios = m.has.Scenarios || never(game.PartScenarios)
	m.has.Sessions = m.has.Sessions || never(game.PartSessions)
}

// isAt reports whether nobody has changed the character since m was remembered. Vitals do
// not count: they depend on nothing, and nothing depends on them.
func (m *remembered) isAt(s *game.State) bool {
	if m.loaded.Copy != s.Copy {
		return false
	}
	for _, part := range game.Parts {
		if part != game.PartVitals && m.loaded.Parts[part] != s.Parts[part] {
			return false
		}
	}
	return true
}
