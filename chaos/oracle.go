package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// value is the state of one row. The zero value stands for a row that is not
// there: an item of quantity 0, a fight that is not in the history.
type value struct {
	n    int64  // hp, quantity, xp, step
	text string // the rest, as in "active <session>"
}

func (v value) String() string {
	if v.n == 0 && v.text != "" {
		return v.text
	}
	return strings.TrimSpace(fmt.Sprint(v.n, " ", v.text))
}

func oneOf(values []value) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.String()
	}
	return strings.Join(texts, " or ")
}

// rowContexts is what is open: "combat <session>", or nothing. It is not a row
// of PostgreSQL.
const rowContexts events.RowKey = "contexts"

// row is what one row of a character may be. An answer is a promise: there is
// one possible value. But one at durability hot is not promised to outlive a
// Redis that loses its memory; from when that happens, until an answer shows
// what is left, each value since the last firm answer is possible.
type row struct {
	now []value // while nothing is lost
	// lost is what a loss may bring back, oldest first; empty where the newest
	// answer was firm.
	lost []value
	sent time.Time // of the newest change that is not firm
}

// model is what the acknowledged actions of one character lead to. A character
// is played by one client, one action after the other, and an action that is
// not answered is repeated with its idempotency key until it is.
type model struct {
	char    int64
	rows    map[events.RowKey]*row
	hp      int64 // of the last vitals that were sent: each is unique
	history history
	faults  *timeline
	report  func(Violation)
	// firmVersion is the highest version that was answered and is promised;
	// last is the newest answer with a version.
	firmVersion events.Version
	last        *record
	// granted is what the answered actions added to each item, exact while
	// Redis has lost nothing.
	granted map[events.RowKey]int64
}

func newModel(char int64, faults *timeline, report func(Violation)) *model {
	return &model{char: char, rows: map[events.RowKey]*row{}, granted: map[events.RowKey]int64{}, faults: faults, report: report}
}

// possible lists what a row may be now.
func (m *model) possible(key events.RowKey) []value {
	r := m.rows[key]
	if r == nil {
		return []value{{}}
	}
	if len(r.lost) > 0 && m.faults.lostHotSince(r.sent) {
		return union(r.now, r.lost)
	}
	return r.now
}

// uncertain reports whether any row has more than one possible value.
func (m *model) uncertain() bool {
	for key := range m.rows {
		if len(m.possible(key)) > 1 {
			return true
		}
	}
	return false
}

// apply notes what an action makes of a row. shown is the value that the answer
// shows, or nil.
func (m *model) apply(a *record, key events.RowKey, change func(value) value, shown *value) {
	before := m.possible(key)
	after := make([]value, 0, len(before))
	for _, v := range before {
		after = union(after, []value{change(v)})
	}
	a.effects = append(a.effects, effect{key, after, shown})
	if shown != nil {
		if !slices.Contains(after, *shown) {
			m.wrong(a.answered, "answer", key, *shown, after)
		}
		after = []value{*shown}
	}
	r := &row{now: after}
	if !a.firm() {
		r.lost, r.sent = before, a.sent
		if was := m.rows[key]; was != nil {
			r.lost = union(was.lost, r.lost)
		}
	}
	m.rows[key] = r
}

// maybe notes an action of which nobody knows whether it was carried out now, or
// long ago. However firm its answer is, it promises nothing of what was answered
// hot in between: that may still be lost, with or without this action.
func (m *model) maybe(a *record, key events.RowKey, change func(value) value) {
	withOrWithout := func(values []value) []value {
		out := slices.Clone(values)
		for _, v := range values {
			if c := change(v); c.n >= 0 {
				out = union(out, []value{c})
			}
		}
		return out
	}
	before := m.possible(key)
	r := &row{now: withOrWithout(before)}
	a.effects = append(a.effects, effect{key, r.now, nil})
	was := m.rows[key]
	if was != nil && len(was.lost) > 0 {
		r.lost, r.sent = withOrWithout(was.lost), was.sent
	}
	if !a.firm() {
		r.lost, r.sent = union(r.lost, before), a.sent
	}
	m.rows[key] = r
}

// show notes that a row was seen with a value. clean says that PostgreSQL has it.
func (m *model) show(at time.Time, where string, key events.RowKey, v value, clean bool) {
	if can := m.possible(key); !slices.Contains(can, v) {
		m.wrong(at, where, key, v, can)
	}
	r := m.rows[key]
	if r == nil {
		r = &row{}
		m.rows[key] = r
	}
	r.now = []value{v}
	if clean {
		r.lost = nil
	}
}

// narrow keeps the possible values that explain an answer. It reports whether
// there are any.
func (m *model) narrow(key events.RowKey, explains func(value) bool) bool {
	left := slices.DeleteFunc(slices.Clone(m.possible(key)), func(v value) bool { return !explains(v) })
	if r := m.rows[key]; r != nil && len(left) > 0 {
		r.now = left
	}
	return len(left) > 0
}

func (m *model) wrong(at time.Time, where string, key events.RowKey, got value, want []value) {
	m.report(Violation{Char: m.char, Where: where, What: string(key), Got: got.String(), Want: oneOf(want), When: at, value: got})
}

// checkVersion: what was answered later has the higher version.
func (m *model) checkVersion(a *record) {
	if a.version == 0 {
		return
	}
	floor := m.firmVersion
	if m.last != nil && !m.faults.lostHotSince(m.last.sent) {
		floor = max(floor, m.last.version)
	}
	if a.version <= floor {
		m.report(Violation{
			Char: m.char, Where: "answer", What: "version", When: a.answered,
			Got: fmt.Sprint(a.version), Want: fmt.Sprint("above ", floor),
		})
	}
	m.last = a
	if a.firm() {
		m.firmVersion = max(m.firmVersion, a.version)
	}
}

// compare lists where a copy is not what the model says. has says which rows
// that copy can have.
func (m *model) compare(where string, copied map[events.RowKey]cell, has func(events.RowKey) bool) (out []Violation) {
	keys := make(map[events.RowKey]bool)
	for key := range copied {
		keys[key] = true
	}
	for key := range m.rows {
		keys[key] = true
	}
	for _, key := range sorted(keys) {
		got, can := copied[key].value, m.possible(key)
		if !has(key) || slices.Contains(can, got) {
			continue
		}
		touching := m.history.touching(key, time.Time{})
		v := Violation{Char: m.char, Where: where, What: string(key), Got: got.String(), Want: oneOf(can), value: got}
		if i := firstMissing(touching, key, got); i >= 0 {
			v.When = touching[i].answered
		}
		out = append(out, v)
	}
	return out
}

// A Violation is a difference between what was acknowledged and what is there.
type Violation struct {
	Char  int64     // 0 where it is no single character's
	Where string    // "answer", "hot", "cold", "stream", "mirror"
	What  string    // the row, as in "item:gem"
	Got   string    // what is there
	Want  string    // what was acknowledged
	When  time.Time // of the oldest answer that is not kept; zero where none can be named
	Story string    // how it came, for the first ones of a run; "" for the others
	value value
	row   events.RowKey // whose story to tell, where What is none
}

func (v Violation) storyRow() events.RowKey {
	if v.row != "" {
		return v.row
	}
	return events.RowKey(v.What)
}

func (v Violation) String() string {
	return fmt.Sprintf("character %d, %s in %s: got %s, want %s", v.Char, v.What, v.Where, v.Got, v.Want)
}

// byTime sorts the oldest broken promise first.
func byTime(a, b Violation) int {
	if a.When.IsZero() != b.When.IsZero() {
		if a.When.IsZero() {
			return 1
		}
		return -1
	}
	return a.When.Compare(b.When)
}

func union(a, b []value) []value {
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
