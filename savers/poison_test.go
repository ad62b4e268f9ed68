package savers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// Fifty thousand good events of all scopes, and one bad one of each kind and
// scope at random places: two savers of each scope store all that is good and
// bury exactly what is bad.
func TestPoisonAmongFiftyThousand(t *testing.T) {
	t.Parallel()
	const good, chars = 50_000, 500
	r := newRig(t, newPool(t))
	curse(t, r)
	random := rand.New(rand.NewPCG(11, 11))
	all := &soup{random: random, next: events.Version(time.Now().Add(-time.Minute).UnixMicro()), want: map[string]saved{}}
	for range good {
		all.addGood(t, events.CharID(1+random.IntN(chars)))
	}
	bad := all.addPoison(t)

	for _, saver := range []savers.Saver{savers.VitalsStateSaver{}, savers.InventoryStateSaver{}, savers.CombatStateSaver{}, savers.ScenarioStateSaver{}} {
		r.start(saver, 0)
		r.start(saver, 0)
	}
	for _, m := range all.messages {
		if _, err := r.js.PublishAsync(m.subject, m.body, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	<-r.js.PublishAsyncComplete()
	for _, scope := range events.Scopes() {
		r.settled(scope)
	}

	got := savedRows(t, r)
	for row, want := range all.want {
		if got[row] != want {
			t.Errorf("%s is saved as %+v, want %+v", row, got[row], want)
		}
	}
	if len(got) != len(all.want) {
		t.Errorf("%d rows, want %d", len(got), len(all.want))
	}
	letters := r.letters()
	for body, kind := range bad {
		if letters[body] == "" {
			t.Errorf("%s is no dead letter: %.200s", kind, body)
		}
		delete(letters, body)
	}
	for body, reason := range letters {
		t.Errorf("a good event is a dead letter, %s: %.200s", reason, body)
	}
}

// curse makes the tables refuse some values that no reader of events refuses, as
// a constraint does that a game has added.
func curse(t *testing.T, r *rig) {
	t.Helper()
	for table, column := range map[string]string{
		"character_vitals": "zone", "items": "item_id", "combat_history": "outcome", "scenario_progress": "scenario_id",
	} {
		sql := fmt.Sprintf("ALTER TABLE %s ADD CHECK (%s <> 'cursed')", table, column)
		if _, err := r.pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// saved is a row as the table has it.
type saved struct {
	version events.Version
	n       int64
}

// soup is events in the order of their publication, and the rows they lead to.
type soup struct {
	random   *rand.Rand
	next     events.Version
	messages []message
	want     map[string]saved
}

type message struct {
	subject string
	body    []byte
}

func (s *soup) expect(char events.CharID, row events.RowKey, version events.Version, n int64) {
	key := fmt.Sprint(char, " ", row)
	if s.want[key].version < version {
		s.want[key] = saved{version, n}
	}
}

func (s *soup) addGood(t *testing.T, char events.CharID) {
	s.next++
	scope, n := events.Scopes()[s.random.IntN(len(events.Scopes()))], s.random.Int64N(1000)
	e := soupEvent(scope, char, s.next, n, fmt.Sprint("thing-", s.random.IntN(5)))
	s.messages = append(s.messages, message{events.Subject(scope, char), encode(t, &e)})
	for _, row := range e.Rows() {
		s.expect(char, row.Key, row.Version, n)
	}
}

// soupEvent is an event whose rows all have the value n; name is what its
// scope's curse is about.
func soupEvent(scope events.Scope, char events.CharID, v events.Version, n int64, name string) events.StateChanged {
	session, data := uuid.Nil, events.Data(nil)
	switch scope {
	case events.ScopeCombat:
		session = uuid.New()
		data = events.Combat{Outcome: name, StartedAt: v.Time(), FinishedAt: v.Time(), XPGained: n, XP: n,
			Loot: []events.ItemChange{{ItemID: "loot", Delta: 1, Quantity: n}}}
	case events.ScopeInventory:
		data = events.Inventory{Items: []events.ItemChange{{ItemID: name, Delta: 1, Quantity: n}}}
	case events.ScopeScenario:
		session = uuid.New()
		data = events.Scenario{ScenarioID: name, Step: int32(n), Status: "active", Data: json.RawMessage("{}")}
	default:
		data = events.Vitals{HP: int32(n), Location: events.Location{Zone: name}}
	}
	return events.New(char, v, events.CauseAction, session, scope, data)
}

// addPoison puts one event of each kind and scope at a random place, and
// returns the kinds by their bodies.
func (s *soup) addPoison(t *testing.T) map[string]string {
	bad := make(map[string]string)
	char := events.CharID(1_000_000)
	for _, scope := range events.Scopes() {
		for _, kind := range slices.Sorted(maps.Keys(poisons)) {
			char++
			s.next++
			name := "poison"
			if kind == "refused by a constraint" {
				name = "cursed"
			}
			e := soupEvent(scope, char, s.next, 1, name)
			body := poisons[kind](encode(t, &e))
			bad[string(body)] = string(scope) + ", " + kind
			s.messages = slices.Insert(s.messages, s.random.IntN(len(s.messages)+1), message{events.Subject(scope, char), body})
		}
	}
	return bad
}

// poisons spoil the body of a valid event.
var poisons = map[string]func([]byte) []byte{
	"cut off":                 func(b []byte) []byte { return b[:len(b)-1] },
	"no text":                 func(b []byte) []byte { return append([]byte{0xff}, b...) },
	"refused by a constraint": func(b []byte) []byte { return b },
	"an unknown field":        edit(func(e map[string]any) { e["mana"] = 1 }),
	"a wrong type":            edit(func(e map[string]any) { e["version"] = "now" }),
	"a negative value": func(b []byte) []byte {
		for _, field := range []string{"hp", "xp", "quantity", "step"} {
			b = bytes.Replace(b, fmt.Appendf(nil, `"%s":1`, field), fmt.Appendf(nil, `"%s":-1`, field), 1)
		}
		return b
	},
	"of another character": edit(func(e map[string]any) { e["char_id"] = 1 }),
	"far ahead":            edit(func(e map[string]any) { e["version"] = time.Now().Add(10 * time.Minute).UnixMicro() }),
}

func edit(change func(map[string]any)) func([]byte) []byte {
	return func(body []byte) []byte {
		var e map[string]any
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if err := decoder.Decode(&e); err != nil {
			panic(err)
		}
		change(e)
		body, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		return body
	}
}

// savedRows reads every row of the four scopes.
func savedRows(t *testing.T, r *rig) map[string]saved {
	t.Helper()
	rows, err := r.pool.Query(t.Context(), `
		SELECT char_id || ' vitals', version, hp::bigint FROM character_vitals
		UNION ALL SELECT char_id || ' progress', version, xp FROM character_progress
		UNION ALL SELECT char_id || ' item:' || item_id, version, quantity FROM items
		UNION ALL SELECT char_id || ' fight:' || session_id, version, xp_gained FROM combat_history
		UNION ALL SELECT char_id || ' scenario:' || scenario_id, version, step FROM scenario_progress`)
	if err != nil {
		t.Fatal(err)
	}
	var (
		row string
		s   saved
	)
	got := make(map[string]saved)
	if _, err := pgx.ForEachRow(rows, []any{&row, &s.version, &s.n}, func() error {
		got[row] = s
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return got
}
