package gateway

import (
	"maps"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/internal/recent"
)

// copies remembers in which state this gateway left characters, so that the next
// action of one need not load it again. It may be outdated: a load, too, is by
// the time of its commit, and as there the commit finds out, by the parts and
// the copy that it expects. What no commit guards, a refusal or an answer that
// changes nothing, is never decided on what is remembered.
type copies struct {
	known *recent.Map[events.CharID, *remembered]
}

const (
	// mostCopies bounds the memory of a gateway, where each has a kilobyte or two; of
	// larger ones there are fewer: see weight.
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

// weight is about how much memory m takes, in bytes.
func (m *remembered) weight() int {
	return copyBytes + itemBytes*len(m.loaded.Items) + m.data()
}

// remembered is a copy in one pair of hands: who takes it from the map has it
// alone, and puts it back after a commit, or not at all.
type remembered struct {
	// loaded is the copy, in the form that actions are decided on; of it the State alone
	// is remembered.
	loaded game.Loaded
	// has tells which parts the state has. Of the items it has those in the map, an
	// item that the character does not have among them; with has.AllItems the map is
	// the bag.
	has game.Want
	// contested tells that others change the character, too. Then the copy is not
	// used until a load has found it as it was left.
	contested bool
	// recalled tells that an action is decided on the copy as it was remembered.
	recalled bool
}

// take returns what is remembered of a character; recalled where an action that
// wants so much can be decided on it.
func (c copies) take(char events.CharID, want *game.Want) *remembered {
	m, ok := c.known.Take(char)
	if !ok {
		return &remembered{}
	}
	m.recalled = !m.contested && m.covers(want)
	return m
}

// put remembers where a commit has brought a copy.
func (c copies) put(m *remembered, change *game.Change) {
	m.loaded.Apply(change)
	maps.DeleteFunc(m.loaded.Sessions, func(_ uuid.UUID, s game.Session) bool { return !s.Open() })
	// A copy without a name cannot be expected. Trades that are not saved are known
	// to Redis alone: it forgets them when they are saved.
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

// knowEmpty takes in that a part which has no version has nothing in it: nobody
// has to load the fights of a character that never fought.
func (m *remembered) knowEmpty() {
	never := func(p game.Part) bool { return m.loaded.Parts[p] == 0 }
	m.has.AllItems = m.has.AllItems || never(game.PartItems)
	m.has.Progress = m.has.Progress || never(game.PartProgress)
	m.has.Scenarios = m.has.Scenarios || never(game.PartScenarios)
	m.has.Sessions = m.has.Sessions || never(game.PartSessions)
}

// isAt reports whether nobody has changed the character since it was left so.
// Vitals do not count: they depend on nothing, and nothing depends on them.
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
