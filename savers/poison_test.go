package savers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// saverFunc is a saver of vitals with something wrong.
type saverFunc func(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error

func (saverFunc) Scope() events.Scope { return events.ScopeVitals }

func (f saverFunc) Save(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
	return f(ctx, tx, batch)
}

// poisoned fails for one character in a given way, and saves the others.
func poisoned(char events.CharID, fail func(tx pgx.Tx) error) saverFunc {
	return func(ctx context.Context, tx pgx.Tx, batch []events.StateChanged) error {
		if slices.ContainsFunc(batch, func(e events.StateChanged) bool { return e.CharID == char }) {
			if err := fail(tx); err != nil {
				return err
			}
		}
		return savers.VitalsStateSaver{}.Save(ctx, tx, batch)
	}
}

// One event that cannot be saved among a batch of good ones is found, buried
// with its reason, and the others are saved.
func TestPoisonIsIsolatedAndTheRestSaved(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(tx pgx.Tx) error{
		"says so itself": func(pgx.Tx) error { return savers.BadEvent(errors.New("poison")) },
		"violates a constraint": func(tx pgx.Tx) error {
			return exec(tx, "INSERT INTO character_vitals VALUES (-1, 1, 1, 1, 'poison', 0, 0)")
		},
		"violates a type": func(tx pgx.Tx) error { return exec(tx, "SELECT 'poison'::integer") },
		"is unknown":      func(pgx.Tx) error { return errors.New("poison of an unknown kind") },
		"panics":          func(pgx.Tx) error { panic("poison") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, newPool(t))
			history := liveVitals(64, 1)
			r.publishAll(history)
			r.start(poisoned(42, fail), 64)
			r.settled(events.ScopeVitals)

			letters := r.letters()
			if len(letters) != 1 || letters[string(encode(t, &history[41]))] == "" {
				t.Errorf("dead letters: %v", letters)
			}
			if got := len(r.vitalsVersions()); got != 63 {
				t.Errorf("%d characters saved, want 63", got)
			}
		})
	}
}

func exec(tx pgx.Tx, sql string) error {
	_, err := tx.Exec(context.Background(), sql)
	return err
}

// Fifty thousand good events of all scopes, and one bad one of each kind and
// scope at random places: two savers of each scope store all that is good and
// bury exactly what is bad.
func TestPoisonAmongFiftyThousand(t *testing.T) {
	t.Parallel()
	r, all := newRig(t, newPool(t)), newSoup(t, 50_000)
	curse(t, r)
	for _, saver := range stateSavers {
		r.start(saver, 0)
		r.start(saver, 0)
	}
	all.serve(t, r)
	all.isSaved(t, r)
}

// The same where it waits as a backlog, which savers take without an ack of each event,
// and without keeping what messages had in them.
func TestPoisonInABacklogHoldsUpNothing(t *testing.T) {
	t.Parallel()
	r, all := newRig(t, newPool(t)), newSoup(t, 20_000)
	curse(t, r)
	all.serve(t, r)
	for _, saver := range stateSavers {
		r.start(saver, 200)
		r.start(saver, 200)
	}
	all.isSaved(t, r)
}

// A bad event that is as large as the server takes has no room for what a dead letter says
// beside it. It holds up nothing.
func TestPoisonThatIsTooLargeForALetterHoldsUpNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, newPool(t))
	stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgSize = -1 // as one of an older build
	if _, err := r.js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	r.publish("sync.vitals.7", bytes.Repeat([]byte("x"), 1<<20-100))
	history := liveVitals(50, 1)
	r.publishAll(history)

	r.start(savers.VitalsStateSaver{}, 0)

	r.settled(events.ScopeVitals)
	r.wantVitals(history)
	if n := len(r.letters()); n != 1 {
		t.Errorf("%d letters, want 1", n)
	}
}

// A bad event that is removed from the stream while a saver has it, without what its
// message had in it, is no dead letter. It holds up nothing.
func TestPoisonThatIsGoneHoldsUpNothing(t *testing.T) {
	t.Parallel()
	const n, badEach = 3000, 50
	r := newRig(t, newPool(t))
	curse(t, r)
	version := events.Version(time.Now().Add(-time.Minute).UnixMicro())
	for i := range n {
		name := "good"
		if i%badEach == 0 {
			name = "cursed"
		}
		e := soupEvent(events.ScopeVitals, events.CharID(i+1), version+events.Version(i), 1, name)
		r.publish(events.Subject(e.Scope, e.CharID), encode(t, &e))
	}
	stream, err := r.js.Stream(t.Context(), bus.StreamChanges)
	if err != nil {
		t.Fatal(err)
	}

	r.startFrom(func(s savers.Source) savers.Source { return forgetful{s, stream} }, savers.VitalsStateSaver{}, 50)

	r.settled(events.ScopeVitals)
	if got := len(savedRows(t, r)); got != n-n/badEach {
		t.Errorf("%d rows, want the %d good ones", got, n-n/badEach)
	}
	if letters := len(r.letters()); letters >= n/badEach {
		t.Errorf("all %d bad events are dead letters: their messages were kept", letters)
	}
}

// forgetful has the stream forget each cursed event that it hands out.
type forgetful struct {
	savers.Source
	stream jetstream.Stream
}

func (f forgetful) Fetch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	msgs, err := f.Source.Fetch(ctx, limit)
	for _, msg := range msgs {
		if !bytes.Contains(msg.Data(), []byte("cursed")) {
			continue
		}
		if meta, err := msg.Metadata(); err == nil {
			_ = f.stream.DeleteMsg(ctx, meta.Sequence.Stream) // what stays becomes a letter, and the test sees too many
		}
	}
	return msgs, err
}

var stateSavers = []savers.Saver{savers.VitalsStateSaver{}, savers.InventoryStateSaver{}, savers.CombatStateSaver{}, savers.ScenarioStateSaver{}}

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
	bad      map[string]string // the kinds of what cannot be saved, by their bodies
}

func newSoup(t *testing.T, good int) *soup {
	const chars = 500
	s := &soup{
		random: rand.New(rand.NewPCG(11, 11)), next: events.Version(time.Now().Add(-time.Minute).UnixMicro()),
		want: map[string]saved{},
	}
	for range good {
		s.addGood(t, events.CharID(1+s.random.IntN(chars)))
	}
	s.bad = s.addPoison(t)
	return s
}

// serve publishes all.
func (s *soup) serve(t *testing.T, r *rig) {
	t.Helper()
	for _, m := range s.messages {
		if _, err := r.js.PublishAsync(m.subject, m.body, jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	<-r.js.PublishAsyncComplete()
}

// isSaved waits until all is settled; then what is good is saved, and what is bad is
// among the dead letters.
func (s *soup) isSaved(t *testing.T, r *rig) {
	t.Helper()
	for _, scope := range events.Scopes() {
		r.settled(scope)
	}
	got := savedRows(t, r)
	for row, want := range s.want {
		if got[row] != want {
			t.Errorf("%s is saved as %+v, want %+v", row, got[row], want)
		}
	}
	if len(got) != len(s.want) {
		t.Errorf("%d rows, want %d", len(got), len(s.want))
	}
	letters := r.letters()
	for body, kind := range s.bad {
		if letters[body] == "" {
			t.Errorf("%s is no dead letter: %.200s", kind, body)
		}
		delete(letters, body)
	}
	for body, reason := range letters {
		t.Errorf("a good event is a dead letter, %s: %.200s", reason, body)
	}
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
