package chaos

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// played is a model under test, and what it has reported.
type played struct {
	*model
	t       *testing.T
	faults  *timeline
	found   []Violation
	version events.Version
}

func newPlayed(t *testing.T) *played {
	p := &played{t: t, faults: new(timeline)}
	p.model = newModel(1, p.faults, func(v Violation) { p.found = append(p.found, v) })
	return p
}

const gem events.RowKey = "item:gem"

// add is an answered action that adds n gems, and shows how many there are.
func (p *played) add(durability string, n, shown int64) {
	p.version++
	now := time.Now()
	r := &record{sent: now, answered: now, status: 200, version: p.version, durability: durability}
	p.history.add(r)
	p.checkVersion(r)
	p.apply(r, gem, plus(n), &value{n: shown})
}

func (p *played) lose() { p.faults.begin("redis-empty")() }

func (p *played) can(want ...int64) {
	p.t.Helper()
	got := p.possible(gem)
	if len(got) != len(want) {
		p.t.Fatalf("possible %s, want %v", oneOf(got), want)
	}
	for _, n := range want {
		if len(union(got, []value{{n: n}})) != len(got) {
			p.t.Fatalf("possible %s, want %v", oneOf(got), want)
		}
	}
}

func (p *played) violations(want int) {
	p.t.Helper()
	if len(p.found) != want {
		p.t.Fatalf("%d violations %v, want %d", len(p.found), p.found, want)
	}
}

func TestHotAnswerIsAPromiseWhileRedisKeepsItsMemory(t *testing.T) {
	p := newPlayed(t)
	p.add("stream", 2, 2)
	p.add("hot", 3, 5)
	p.faults.begin("nats-restart")()
	p.can(5)
}

func TestHotAnswerMayBeLostWithRedis(t *testing.T) {
	p := newPlayed(t)
	p.add("stream", 2, 2)
	p.add("hot", 3, 5)
	p.add("hot", 1, 6)
	p.lose()
	p.can(2, 5, 6)
	// What is built on it is one of their followers, and shows which.
	p.add("stream", 10, 15)
	p.can(15)
	p.violations(0)
}

// A repeat that nobody can say of whether it was carried out leaves both ways,
// and none below zero.
func TestRepeatAfterALossMayHaveDoneSomething(t *testing.T) {
	p := newPlayed(t)
	p.add("stream", 2, 2)
	p.add("hot", 3, 5)
	p.lose()
	p.maybe(&record{sent: time.Now(), durability: "stream"}, gem, plus(-3))
	p.can(2, 5)
	p.maybe(&record{sent: time.Now(), durability: "stream"}, gem, plus(1))
	p.can(2, 3, 5, 6)
	p.show(time.Now(), "hot", gem, value{n: 3}, true)
	p.can(3)
	p.violations(0)
}

// A trade that is asked for again promises itself, not what came after it.
func TestFirmRepeatDoesNotMakeFirmWhatCameAfterIt(t *testing.T) {
	p := newPlayed(t)
	p.add("stream", 5, 5)
	p.add("hot", 3, 8)
	p.maybe(&record{sent: time.Now(), durability: "stream"}, gem, plus(2))
	p.can(8, 10)
	p.lose()
	p.can(8, 10, 5, 7)
	p.violations(0)
}

func TestFirmAnswerOutlivesRedis(t *testing.T) {
	p := newPlayed(t)
	p.add("hot", 3, 3)
	p.add("stream", 1, 4)
	p.lose()
	p.can(4)
}

func TestValueThatNoAnswerExplainsIsFound(t *testing.T) {
	p := newPlayed(t)
	p.add("stream", 2, 2)
	p.add("hot", 3, 5)
	p.lose()
	p.show(time.Now(), "hot", gem, value{n: 4}, true)
	p.violations(1)
}

func TestSavedRowIsFirm(t *testing.T) {
	p := newPlayed(t)
	p.add("hot", 3, 3)
	p.show(time.Now(), "hot", gem, value{n: 3}, true)
	p.lose()
	p.can(3)
}

// The mirror may show a scenario whose own row nobody has but Redis.
func TestOpenScenarioIsAsFirmAsItsRow(t *testing.T) {
	const road, session = "road-1", "87a3eef7-7745-5f83-ae96-9654a62d7bc9"
	for name, test := range map[string]struct {
		dirty string
		left  []value
	}{
		"saved":     {`[{"row":"vitals","version":7}]`, []value{{text: "scenario " + session}}},
		"not saved": {`[{"row":"scenario:road-1","version":7}]`, []value{{text: "scenario " + session}, {}}},
	} {
		p := newPlayed(t)
		a := &record{sent: time.Now(), answered: time.Now(), durability: "hot"}
		p.apply(a, rowContexts, func(value) value { return value{text: "scenario " + session} }, nil)
		p.apply(a, events.RowScenario(road), func(value) value { return value{text: "active " + session} }, nil)
		v := new(view)
		if err := json.Unmarshal([]byte(`{"contexts":{"scenario":{"session_id":"`+session+`"}},
			"scenarios":[{"scenario_id":"`+road+`","status":"active","session_id":"`+session+`"}],"dirty":`+test.dirty+`}`), v); err != nil {
			t.Fatal(err)
		}
		p.seen(time.Now(), v)
		p.lose()
		if got := p.possible(rowContexts); !slices.Equal(got, test.left) {
			t.Errorf("%s: what is open can be %v, want %v", name, got, test.left)
		}
		p.violations(0)
	}
}

func TestLostActionIsNotHeldAgainstALaterLoss(t *testing.T) {
	p := newPlayed(t)
	p.add("stream", 2, 2)
	p.add("hot", 3, 5)
	p.lose()
	p.show(time.Now(), "hot", gem, value{n: 2}, true)
	p.can(2)
	p.lose()
	p.can(2)
}

func TestVersionsOfAnswersRise(t *testing.T) {
	p := newPlayed(t)
	p.add("stream", 1, 1)
	p.version = 0
	p.add("stream", 1, 2)
	p.violations(1)
}

// The comparison finds each kind of wrong, and blames the oldest answer that is
// not kept.
func TestComparisonFindsWhatIsWrong(t *testing.T) {
	p := newPlayed(t)
	p.add("stream", 2, 2)
	p.add("stream", 2, 4)
	p.add("stream", 1, 5)
	all := p.history.records
	for name, test := range map[string]struct {
		copied map[events.RowKey]cell
		blamed *record
	}{
		"older":   {map[events.RowKey]cell{gem: {value: value{n: 2}}}, all[1]},
		"lost":    {map[events.RowKey]cell{}, all[0]},
		"doubled": {map[events.RowKey]cell{gem: {value: value{n: 6}}}, all[2]},
	} {
		found := p.compare("cold", test.copied, inCold)
		if len(found) != 1 || !found[0].When.Equal(test.blamed.answered) {
			t.Errorf("%s: found %v", name, found)
		}
	}
	right := map[events.RowKey]cell{gem: {value: value{n: 5}}}
	if found := p.compare("cold", right, inCold); len(found) != 0 {
		t.Errorf("found %v where all is right", found)
	}
	right["item:axe"] = cell{value: value{n: 1}}
	if found := p.compare("cold", right, inCold); len(found) != 1 {
		t.Errorf("an item that nobody gave is not found: %v", found)
	}
}

// Faults of one part never happen at once, nor do those that take answers and
// those that take the keys to ask again.
func TestFaultsThatExcludeEachOther(t *testing.T) {
	for _, test := range []struct {
		first, second string
		together      bool
	}{
		{"postgres-kill", "postgres-stop", false},
		{"postgres-kill", "saver-kill", true},
		{"gateway-kill", "redis-empty", false},
		{"gateway-kill", "redis-restart", true},
	} {
		var x exclusion
		release, _ := x.take(test.first)
		end, ok := x.take(test.second)
		if ok != test.together {
			t.Errorf("%s beside %s: %v", test.second, test.first, ok)
		}
		if ok {
			end()
		}
		release()
		if _, ok := x.take(test.second); !ok {
			t.Errorf("%s is not free after %s", test.second, test.first)
		}
	}
}
