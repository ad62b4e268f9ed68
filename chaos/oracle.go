package chaos

import (
	"fmt"
	"maps"
	"slices"
)

// model is what the acknowledged actions of one character lead to. A character
// is played by one client, one action after the other, and an action that is
// not answered is repeated with its idempotency key until it is: so the model
// is exact.
type model struct {
	char  int64
	hp    int // of the last acknowledged vitals; each is unique
	moved bool
	items map[string]int64
	xp    int64
	// fights maps each fight that was finished to the experience it gave.
	fights    map[string]int64
	scenarios map[string]scenario
}

type scenario struct {
	step   int
	status string
}

func newModel(char int64) *model {
	return &model{char: char, items: map[string]int64{}, fights: map[string]int64{}, scenarios: map[string]scenario{}}
}

// A Violation is a difference between what was acknowledged and what is there.
type Violation struct {
	Char  int64
	Where string // "answer", "hot" or "cold"
	What  string
	Got   string
	Want  string
}

func (v Violation) String() string {
	return fmt.Sprintf("character %d, %s in %s: got %s, want %s", v.Char, v.What, v.Where, v.Got, v.Want)
}

// observed is a character as it was found.
type observed struct {
	hp        int
	moved     bool
	items     map[string]int64
	xp        int64
	fights    map[string]int64
	scenarios map[string]scenario
}

// compare lists where a copy is not what the model says.
func (m *model) compare(where string, got *observed) (out []Violation) {
	differ := func(what string, got, want any) {
		if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
			out = append(out, Violation{m.char, where, what, g, w})
		}
	}
	differ("vitals", fmt.Sprint(got.moved, " hp ", got.hp), fmt.Sprint(m.moved, " hp ", m.hp))
	differ("xp", got.xp, m.xp)
	for _, id := range keys(got.items, m.items) {
		differ("item "+id, got.items[id], m.items[id])
	}
	for _, id := range keys(got.scenarios, m.scenarios) {
		differ("scenario "+id, got.scenarios[id], m.scenarios[id])
	}
	if got.fights != nil {
		for _, id := range keys(got.fights, m.fights) {
			gotXP, isThere := got.fights[id]
			wantXP, wanted := m.fights[id]
			differ("fight "+id, fmt.Sprint(isThere, " xp ", gotXP), fmt.Sprint(wanted, " xp ", wantXP))
		}
		differ("sum of the fights' xp", got.xp, sum(got.fights))
	}
	return out
}

func keys[V any](a, b map[string]V) []string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]V{}
	}
	maps.Copy(all, b)
	return slices.Sorted(maps.Keys(all))
}

func sum(values map[string]int64) (total int64) {
	for _, v := range values {
		total += v
	}
	return total
}
