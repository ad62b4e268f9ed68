package chaos

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/savepoint-games/savepoint/events"
)

// What a client does with a character, and what the model makes of each answer.

func (c *client) episode(ctx context.Context, m *model) error {
	if len(c.players) > 0 && c.Random.IntN(1+len(c.players)) > 0 {
		return c.players[c.Random.IntN(len(c.players))].Play(ctx, c.Caller, m.char)
	}
	if err := c.settleTrades(); err != nil {
		return err
	}
	// What is not known for sure is looked at first.
	if m.uncertain() || c.Random.IntN(100) < lookPercent {
		if err := c.look(m); err != nil {
			return err
		}
	}
	switch n := c.Random.IntN(100); {
	case n < 30:
		return c.move(m)
	case n < 47:
		return c.trade(m)
	case n < 74 && c.noTrades:
		return c.trade(m)
	case n < 62:
		return c.hand(m)
	case n < 74:
		return c.buy(m)
	case n < 87:
		return c.travel(m)
	}
	return c.fight(m)
}

func (c *client) move(m *model) error {
	m.hp++
	hp := m.hp
	r, _, err := c.must(m, "PUT", "vitals", fmt.Sprintf(`{"hp":%d,"energy":1,"location":{"zone":"harbor","x":1,"y":2}}`, hp))
	if err == nil {
		m.apply(r, events.RowVitals, func(value) value { return value{n: hp} }, nil)
	}
	return err
}

var itemIDs = []string{"sword", "potion", "gem"}

func plus(n int64) func(value) value { return func(v value) value { return value{n: v.n + n} } }

func (c *client) trade(m *model) error {
	id, delta := itemIDs[c.Random.IntN(len(itemIDs))], int64(c.Random.IntN(9)-3)
	if delta == 0 {
		delta = 1
	}
	key := events.RowItem(id)
	r, a, err := c.send(m, "POST", "inventory", fmt.Sprintf(`{"changes":[{"item_id":%q,"delta":%d}]}`, id, delta))
	if err != nil {
		return err
	}
	explains := func(v value) bool { return v.n+delta >= 0 }
	if a == nil {
		explains = func(v value) bool { return r.status == http.StatusConflict && v.n+delta < 0 }
	}
	can := m.possible(key)
	if !m.narrow(key, explains) {
		m.report(Violation{
			Char: m.char, Where: "answer", What: string(key), When: r.answered,
			Got: fmt.Sprint("status ", r.status), Want: fmt.Sprintf("the sum of %s and %d", oneOf(can), delta),
		})
		return errBroken
	}
	if a != nil {
		m.granted[key] += delta
		m.apply(r, key, plus(delta), a.quantity(id))
	}
	return nil
}

// enter switches to a context. A fight that Redis has brought back is given up.
func (c *client) enter(m *model, context, body string) (*record, *answer, error) {
	path := "contexts/" + context
	for _, v := range m.possible(rowContexts) {
		if strings.HasPrefix(v.text, "combat ") {
			path += "?force=true"
			break
		}
	}
	r, a, err := c.must(m, "POST", path, body)
	if err != nil {
		return nil, nil, err
	}
	c.leave(m, r, a)
	m.apply(r, rowContexts, func(value) value { return value{text: context + " " + a.SessionID} }, nil)
	if !r.firm() {
		// What ended may be known where what began is lost.
		at := m.rows[rowContexts]
		at.lost = union(at.lost, []value{{}})
	}
	return r, a, nil
}

// leave applies what a context switch ended.
func (c *client) leave(m *model, r *record, a *answer) {
	var was value
	for _, p := range a.Preempted {
		was.text = p.Context + " " + p.SessionID
		switch p.Context {
		case "scenario":
			m.pause(r, p.SessionID)
		case "combat":
			m.apply(r, events.RowKey("fight:"+p.SessionID), func(v value) value {
				if v == (value{}) {
					v.text = "abandoned"
				}
				return v
			}, nil)
		}
	}
	m.show(r.answered, "answer", rowContexts, was, false)
}

// pause ends the scenario of a session, wherever it may have been open.
func (m *model) pause(r *record, session string) {
	change := func(v value) value {
		if v.text == "active "+session {
			v.text = "paused " + session
		}
		return v
	}
	for _, key := range sorted(m.rows) {
		for _, v := range m.possible(key) {
			if change(v) != v {
				m.apply(r, key, change, nil)
				break
			}
		}
	}
}

func (c *client) travel(m *model) error {
	id := fmt.Sprint("road-", c.Random.IntN(3))
	key := events.RowScenario(id)
	r, a, err := c.enter(m, "scenario", fmt.Sprintf(`{"scenario_id":%q}`, id))
	if err != nil {
		return err
	}
	active := "active " + a.SessionID
	m.apply(r, key, func(v value) value {
		if strings.HasPrefix(v.text, "completed ") {
			v.n = 0
		}
		return value{v.n, active}
	}, nil)
	for step := int64(1); step <= 2; step++ {
		r, _, err := c.must(m, "PATCH", "contexts/scenario", fmt.Sprintf(`{"session_id":%q,"step":%d,"data":{"n":%d}}`, a.SessionID, step, step))
		if err != nil {
			return err
		}
		m.apply(r, key, func(value) value { return value{step, active} }, nil)
	}
	switch c.Random.IntN(3) {
	case 0: // stays on the road
		return nil
	case 1: // looks into the bag
		_, _, err := c.enter(m, "inventory", "{}")
		return err
	}
	if r, _, err = c.must(m, "POST", "contexts/scenario/finish", fmt.Sprintf(`{"session_id":%q}`, a.SessionID)); err != nil {
		return err
	}
	m.apply(r, rowContexts, func(value) value { return value{} }, nil)
	m.apply(r, key, func(v value) value {
		if v.text == active {
			v.text = "completed " + a.SessionID
		}
		return v
	}, nil)
	return nil
}

func (c *client) fight(m *model) error {
	_, a, err := c.enter(m, "combat", "{}")
	if err != nil {
		return err
	}
	gained, loot := int64(c.Random.IntN(100)), int64(1+c.Random.IntN(3))
	id := itemIDs[c.Random.IntN(len(itemIDs))]
	r, won, err := c.must(m, "POST", "contexts/combat/finish", fmt.Sprintf(
		`{"session_id":%q,"outcome":"victory","xp":%d,"loot":[{"item_id":%q,"quantity":%d}]}`, a.SessionID, gained, id, loot))
	if err != nil {
		return err
	}
	var xp *value
	if won.XP != nil {
		xp = &value{n: *won.XP}
	}
	m.apply(r, rowContexts, func(value) value { return value{} }, nil)
	m.apply(r, events.RowKey("fight:"+a.SessionID), func(value) value { return value{gained, "victory"} }, nil)
	m.apply(r, events.RowProgress, plus(gained), xp)
	m.apply(r, events.RowItem(id), plus(loot), won.quantity(id))
	m.granted[events.RowItem(id)] += loot
	return nil
}
