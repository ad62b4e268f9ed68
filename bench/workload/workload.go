// Package workload makes the events that measurements run on: what gateways
// would have published, with results that add up, the same for the same seed.
// It says what the rows must be afterwards, too. It knows no server.
package workload

import (
	"iter"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// A Kind says which events a workload has.
type Kind string

// The kinds. The natural mix has 70 % vitals, 15 % inventory, 10 % combat and
// 5 % scenario events: characters move all the time, pick something up now and
// then, and a fight or a step of a story takes a while.
const (
	KindVitals    Kind = "vitals"    // one row a character
	KindInventory Kind = "inventory" // 1 to 3 items of some 50
	KindCombat    Kind = "combat"    // a fight with 0 to 3 lines of loot
	KindScenario  Kind = "scenario"  // a step in one of four scenarios
	KindMix       Kind = "mix"       // the natural mix
)

// Kinds lists them all, the mix last.
func Kinds() []Kind {
	return []Kind{KindVitals, KindInventory, KindCombat, KindScenario, KindMix}
}

// Scopes lists the scopes that a workload of this kind has events of.
func (k Kind) Scopes() []events.Scope {
	if k == KindMix {
		return []events.Scope{events.ScopeVitals, events.ScopeInventory, events.ScopeCombat, events.ScopeScenario}
	}
	return []events.Scope{events.Scope(k)}
}

// Config describes a workload.
type Config struct {
	Kind Kind
	// Events is how many there are; 0 never ends.
	Events int
	// Characters is how many characters they are about.
	//
	// Defaults to 10,000.
	Characters int
	// Zipf is the skew, above 1: with 1.2 one character has a sixth of all
	// events. 0 is uniform.
	Zipf float64
	Seed uint64
	// Disorder is how they arrive. It does not change what happened.
	Disorder Disorder
	// FirstChar is the lowest character.
	//
	// Defaults to 1.
	FirstChar int64
	// Start is the time of the first event; each is a microsecond after the one
	// before. Savers refuse what is more than five minutes ahead of the clock.
	//
	// Defaults to the beginning of 2026, so that the same seed is the same bytes.
	Start time.Time
}

func (c Config) withDefaults() Config {
	if c.Characters < 1 {
		c.Characters = 10_000
	}
	if c.FirstChar < 1 {
		c.FirstChar = 1
	}
	if c.Start.IsZero() {
		c.Start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return c
}

// Generate yields the events in the order in which they happened: versions
// rise, and quantities, experience and steps are running totals. It may be
// called again for the same events. What it remembers grows with the rows.
func Generate(c Config) iter.Seq[events.StateChanged] {
	c = c.withDefaults()
	return func(yield func(events.StateChanged) bool) {
		w := newWorld(c)
		for n := 0; c.Events == 0 || n < c.Events; n++ {
			if !yield(w.event(events.Version(c.Start.UnixMicro() + int64(n)))) {
				return
			}
		}
	}
}

// world is what the characters have.
type world struct {
	config Config
	random *rand.Rand
	zipf   *rand.Zipf // nil for uniform
	items  map[slot]int64
	xp     map[events.CharID]int64
	steps  map[slot]int32
	// sessions are those of the scenarios that are under way.
	sessions map[slot]uuid.UUID
}

// slot is an item or a scenario of a character.
type slot struct {
	char  events.CharID
	index uint8
}

func newWorld(c Config) *world {
	w := &world{
		config: c, random: rand.New(rand.NewPCG(c.Seed, 0x5a7e)),
		items: map[slot]int64{}, xp: map[events.CharID]int64{},
		steps: map[slot]int32{}, sessions: map[slot]uuid.UUID{},
	}
	if c.Zipf > 1 {
		w.zipf = rand.NewZipf(w.random, c.Zipf, 1, uint64(c.Characters-1))
	}
	return w
}

func (w *world) event(v events.Version) events.StateChanged {
	char := w.character()
	switch w.kind() {
	case KindInventory:
		return events.New(char, v, events.CauseAction, uuid.Nil, events.ScopeInventory, w.inventory(char))
	case KindCombat:
		return events.New(char, v, events.CauseExplicit, w.uuid(), events.ScopeCombat, w.combat(char, v))
	case KindScenario:
		session, data := w.scenario(char)
		return events.New(char, v, events.CauseAction, session, events.ScopeScenario, data)
	default:
		return events.New(char, v, events.CauseAction, uuid.Nil, events.ScopeVitals, w.vitals())
	}
}

func (w *world) character() events.CharID {
	if w.zipf != nil {
		return events.CharID(w.config.FirstChar + int64(w.zipf.Uint64()))
	}
	return events.CharID(w.config.FirstChar + w.random.Int64N(int64(w.config.Characters)))
}

func (w *world) kind() Kind {
	if w.config.Kind != KindMix {
		return w.config.Kind
	}
	switch percent := w.random.IntN(100); {
	case percent < 70:
		return KindVitals
	case percent < 85:
		return KindInventory
	case percent < 95:
		return KindCombat
	default:
		return KindScenario
	}
}
