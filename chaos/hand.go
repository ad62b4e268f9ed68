package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// Trades among the characters of one client. Both are modelled row by row, as
// for any action.

// A handover is a trade that was answered hot: Redis may lose it, or one side
// of it.
type handover struct {
	traded
	giver, taker *model
}

// hand lets a character give items to another one of the same client.
func (c *client) hand(m *model) error {
	if len(c.models) < 2 {
		return c.trade(m)
	}
	to := m
	for to == m {
		to = any1(c.Random, c.models)
	}
	t := traded{id: c.newID(), from: m.char, to: to.char, item: any1(c.Random, itemIDs), n: int64(1 + c.Random.IntN(4))}
	key := events.RowItem(t.item)
	query := ""
	if c.asksForCold() {
		query = "?durability=cold"
	}
	reply, err := c.exchanged(&t, query)
	if err != nil {
		return err
	}
	gave, took := t.records(reply)
	m.history.add(gave)
	explains := func(v value) bool { return v.n >= t.n }
	if !t.done() {
		explains = func(v value) bool { return t.status == http.StatusConflict && v.n < t.n }
	}
	can := m.possible(key)
	if !m.narrow(key, explains) {
		m.report(Violation{
			Char: m.char, Where: "answer", What: string(key), When: t.answered,
			Got: fmt.Sprint("status ", t.status), Want: fmt.Sprintf("%s less %d", oneOf(can), t.n),
		})
		return errBroken
	}
	c.ledger.add(&t)
	if !t.done() {
		c.counts.refused.Add(1)
		c.handAgain(m, &t, reply)
		return nil
	}
	c.counts.trades.Add(1)
	to.history.add(took)
	c.count(gave)
	m.checkVersion(gave)
	to.checkVersion(took)
	m.apply(gave, key, plus(-t.n), &value{n: t.fromHas})
	to.apply(took, key, plus(t.n), &value{n: t.toHas})
	if t.durability == "cold" {
		c.keepPromise(m)
		c.promised = took
		c.keepPromise(to)
	}
	if !t.firm() {
		c.unsureTrades = append(c.unsureTrades, handover{t, m, to})
	}
	c.handAgain(m, &t, reply)
	return nil
}

// records are the trade as both sides remember it.
func (t *traded) records(reply *Reply) (gave, took *record) {
	gave = &record{
		sent: t.sent, answered: t.answered, method: http.MethodPost, path: reply.Path, body: t.body(), url: reply.Path,
		key: t.id.String(), attempts: t.attempts, gateway: reply.Gateway, status: t.status, version: t.version, durability: t.durability,
	}
	other := *gave
	other.version = t.toVersion
	return gave, &other
}

// newID is random by the run's seed, so that no two runs differ by it.
func (c *Caller) newID() uuid.UUID {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(c.Random.Uint32())
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80 // version 4
	return id
}

// handAgain asks now and then for a trade that was answered: the answer is the
// first one, and a refusal stands.
func (c *client) handAgain(m *model, t *traded, first *Reply) {
	if !c.echo || c.Random.IntN(100) >= 2*echoPercent {
		return
	}
	echo := *first
	if err := c.attempt(&echo, http.MethodPost, t.body()); err != nil || echo.Status >= 500 {
		return // it has been answered once; nobody waits for this one
	}
	c.counts.echoes.Add(1)
	var b struct {
		Version   events.Version `json:"version"`
		ToVersion events.Version `json:"to_version"`
	}
	if echo.Status == t.status && (!t.done() || json.Unmarshal(echo.Body, &b) == nil && b.Version == t.version && b.ToVersion == t.toVersion) {
		return
	}
	m.report(Violation{
		Char: m.char, Where: "answer", What: "repeat of a transfer " + t.body(), When: echo.Answered,
		Got:  fmt.Sprintf("%d, versions %d and %d", echo.Status, b.Version, b.ToVersion),
		Want: fmt.Sprintf("%d, versions %d and %d", t.status, t.version, t.toVersion), row: events.RowItem(t.item),
	})
}

// unsureKept is how many trades that were answered hot a client keeps in mind
// before it asks for the oldest once more.
const unsureKept = 20

// settleTrades asks again for the trades that Redis may have lost, in whole or
// by one side: nobody else knows when a trade that came back in escrow arrives.
// Only when each has its answer, a look shows what they have led to.
func (c *client) settleTrades() error {
	var left []handover
	touched := make(map[*model]bool)
	for i, h := range c.unsureTrades {
		lost := c.faults.lostHotSince(h.sent)
		if !lost && len(c.unsureTrades)-i <= unsureKept {
			left = append(left, h)
			continue
		}
		firm, err := c.resolve(&h)
		if err != nil {
			return err
		}
		if !firm {
			left = append(left, h)
		}
		if lost {
			touched[h.giver], touched[h.taker] = true, true
		}
	}
	c.unsureTrades = left
	for _, m := range c.models {
		if !touched[m] {
			continue
		}
		if err := c.look(m); err != nil {
			return err
		}
	}
	return nil
}

// hasLost reports whether Redis may have lost a trade of the character since its answer:
// what a look shows then is not what it will lead to. The character is then looked at when
// the trade was asked for again.
func (c *client) hasLost(m *model) bool {
	return slices.ContainsFunc(c.unsureTrades, func(h handover) bool {
		return (h.giver == m || h.taker == m) && c.faults.lostHotSince(h.sent)
	})
}

// resolve asks again for one trade. Where Redis lost it, the repeat may have
// carried it out, or its second half, or have been refused; or it has come back
// since somebody looked, because a gateway still had its events.
func (c *client) resolve(h *handover) (firm bool, err error) {
	was := h.traded
	reply, err := c.exchanged(&h.traded, "")
	if err != nil {
		return false, err
	}
	c.ledger.add(&h.traded)
	if !h.done() {
		h.durability = ""
	}
	if c.faults.lostHotSince(was.sent) {
		gave, took := h.records(reply)
		h.giver.again(gave, h.item, -h.n)
		h.taker.again(took, h.item, h.n)
	} else if !h.done() || h.version != was.version || h.toVersion != was.toVersion {
		h.giver.report(Violation{
			Char: h.giver.char, Where: "answer", What: "repeat of a transfer " + h.body(), When: h.answered,
			Got: fmt.Sprintf("status %d, %s", h.status, &h.traded), Want: was.String(), row: events.RowItem(h.item),
		})
	}
	return h.firm() || !h.done(), nil
}

// again notes that a trade was asked for again after a loss.
func (m *model) again(r *record, item string, n int64) {
	m.history.add(r)
	m.maybe(r, events.RowItem(item), plus(n))
}
