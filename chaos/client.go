package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/savepoint-games/savepoint/events"
)

// counts is what the clients saw.
type counts struct {
	acked, hot, cold, refused, repeated, looks, echoes, trades atomic.Int64
}

func (c *counts) String() string {
	return fmt.Sprintf("%d acknowledged (%d of them trades, %d hot, %d cold), %d refused, %d repeats, %d looks, %d echoes",
		c.acked.Load(), c.trades.Load(), c.hot.Load(), c.cold.Load(), c.refused.Load(), c.repeated.Load(), c.looks.Load(), c.echoes.Load())
}

// client plays its own characters, one action after another.
type client struct {
	*Caller
	models  []*model
	faults  *timeline
	pool    *pgxpool.Pool // PostgreSQL, to see what an answer at cold is worth
	players []Player
	// echo says that answers may be asked for again: not where Redis loses its
	// memory, and with it what it had answered.
	echo bool
	// promised is the newest answer at durability cold, until it was looked at.
	promised *record
	ledger   *ledger
	market   *market
	report   func(Violation)
	noTrades bool
	asksCold bool
	// unsureTrades were answered hot.
	unsureTrades []handover
}

// answer is what the client reads of any answer.
type answer struct {
	SessionID  string         `json:"session_id"`
	Version    events.Version `json:"version"`
	Durability string         `json:"durability"`
	XP         *int64         `json:"xp"`
	Items      []struct {
		ItemID   string `json:"item_id"`
		Quantity int64  `json:"quantity"`
	} `json:"items"`
	Preempted []struct {
		Context   string `json:"context"`
		SessionID string `json:"session_id"`
	} `json:"preempted"`
}

func (a *answer) quantity(id string) *value {
	for _, item := range a.Items {
		if item.ItemID == id {
			return &value{n: item.Quantity}
		}
	}
	return nil
}

// play acts until ctx is done, and finishes the action it is in.
func (c *client) play(ctx context.Context) error {
	for ctx.Err() == nil {
		m := c.models[c.Random.IntN(len(c.models))]
		err := c.episode(ctx, m)
		if errors.Is(err, errBroken) {
			err = c.look(m)
		}
		if err != nil {
			return err
		}
		c.keepPromise(m)
	}
	return c.settleTrades()
}

// errBroken ends an episode that cannot go on. The client looks at its character.
var errBroken = errors.New("the episode cannot go on")

// now and then a client asks for more than an answer. Only some clients ask for
// answers at cold: they stand still while PostgreSQL is away, and the others
// must not, or nobody would see how gateways answer then.
const (
	coldAskers  = 4 // one client in so many
	coldPercent = 8 // of its actions
	echoPercent = 2
	lookPercent = 2
)

// send carries an action out and notes it. The answer is nil where the rules
// refused it.
func (c *client) send(m *model, method, path, body string) (*record, *answer, error) {
	c.keepPromise(m)
	asked := path
	if c.asksForCold() {
		asked = withParameter(path, "durability=cold")
	}
	reply, err := c.Do(m.char, method, asked, body)
	if err != nil {
		return nil, nil, err
	}
	r := &record{
		sent: reply.Sent, answered: reply.Answered, method: method, path: asked, body: body, url: reply.Path,
		key: reply.Key, attempts: reply.Attempts, gateway: reply.Gateway, status: reply.Status,
	}
	m.history.add(r)
	if reply.Status >= 300 {
		c.counts.refused.Add(1)
		return r, nil, nil
	}
	a := new(answer)
	if err := json.Unmarshal(reply.Body, a); err != nil {
		return nil, nil, fmt.Errorf("answer to %s %s of character %d: %w", method, path, m.char, err)
	}
	r.version, r.durability = a.Version, a.Durability
	c.count(r)
	m.checkVersion(r)
	if c.echo && c.Random.IntN(100) < echoPercent {
		c.again(m, r, reply, a)
	}
	return r, a, nil
}

func (c *client) asksForCold() bool { return c.asksCold && c.Random.IntN(100) < coldPercent }

func withParameter(path, parameter string) string {
	if strings.Contains(path, "?") {
		return path + "&" + parameter
	}
	return path + "?" + parameter
}

func (c *client) count(r *record) {
	c.counts.acked.Add(1)
	switch r.durability {
	case "hot":
		c.counts.hot.Add(1)
	case "cold":
		c.counts.cold.Add(1)
		c.promised = r
	}
}

// again sends an answered request once more: the answer is the first one.
func (c *client) again(m *model, r *record, first *Reply, a *answer) {
	echo := *first
	if err := c.attempt(&echo, r.method, r.body); err != nil || echo.Status >= 500 {
		return // it has been answered once; nobody waits for this one
	}
	c.counts.echoes.Add(1)
	var b answer
	if echo.Status < 300 && json.Unmarshal(echo.Body, &b) == nil && b.Version == a.Version && b.SessionID == a.SessionID {
		return
	}
	m.report(Violation{
		Char: m.char, Where: "answer", What: "repeat of " + r.method + " " + r.path + " " + r.body, When: echo.Answered,
		Got: fmt.Sprintf("%d, version %d", echo.Status, b.Version), Want: fmt.Sprintf("the first answer, version %d", a.Version), row: rowContexts,
	})
}

// must sends an action that the rules cannot refuse, unless Redis has lost what
// it builds on: then the error is errBroken.
func (c *client) must(m *model, method, path, body string) (*record, *answer, error) {
	r, a, err := c.send(m, method, path, body)
	if err != nil || a != nil {
		return r, a, err
	}
	if r.status != http.StatusConflict || !m.uncertain() {
		m.report(Violation{
			Char: m.char, Where: "answer", What: method + " " + path + " " + body, When: r.answered,
			Got: fmt.Sprint("status ", r.status), Want: "2xx", row: rowContexts,
		})
	}
	return r, nil, errBroken
}

// look reads the whole character. What it shows must be possible, and is what
// the model goes on from.
func (c *client) look(m *model) error {
	for range attempts {
		v, err := readHot(context.Background(), c.http, c.gateways[c.Random.IntN(len(c.gateways))], m.char)
		if errors.Is(err, errNotNow) {
			time.Sleep(retryPause)
			continue
		}
		if err != nil {
			return err
		}
		if c.hasLost(m) { // while it waited for this answer
			return c.settleTrades()
		}
		c.counts.looks.Add(1)
		m.seen(time.Now(), v)
		return nil
	}
	return fmt.Errorf("look at character %d: %w", m.char, ErrUnanswered)
}

// seen takes a view of the whole character into the model. What it taught is kept in
// the history, so that a story tells of it.
func (m *model) seen(at time.Time, v *view) {
	shown, dirty := v.cells(), v.dirty()
	keys := make(map[events.RowKey]bool)
	for key := range shown {
		keys[key] = true
	}
	for key := range m.rows {
		keys[key] = inHot(key)
	}
	look := &record{sent: at, answered: at, method: http.MethodGet, path: "character", status: http.StatusOK}
	for key, has := range keys {
		if !has {
			continue
		}
		is := shown[key].value
		if can := m.possible(key); len(can) > 1 || can[0] != is {
			look.effects = append(look.effects, effect{key, []value{is}, nil})
		}
		m.show(at, "hot", key, is, isFirm(key, dirty))
	}
	if len(look.effects) > 0 {
		m.history.add(look)
	}
}

// isFirm reports whether a row with these marks beside it outlives Redis. A scenario
// that is lost is not open, whatever the mirror shows, so what is open is as firm as
// the scenarios are.
func isFirm(key events.RowKey, dirty events.RowVersions) bool {
	for marked := range dirty {
		if marked == key || key == rowContexts && marked.Scope() == events.ScopeScenario {
			return false
		}
	}
	return true
}

// promiseTimeout is how long PostgreSQL may take to show a row.
const promiseTimeout = time.Second

// keepPromise looks whether PostgreSQL has what was answered at durability
// cold. Where PostgreSQL does not answer now, or was replaced meanwhile, there
// is nothing to see.
func (c *client) keepPromise(m *model) {
	r := c.promised
	c.promised = nil
	if r == nil || c.pool == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), promiseTimeout)
	defer cancel()
	copied, err := readCold(ctx, c.pool, m.char)
	if err != nil || c.lostCold(r) {
		return
	}
	for _, e := range r.effects {
		// What a switch ended has the version before that of the answer.
		if got := copied[e.row]; inCold(e.row) && got.version < r.version-1 {
			m.report(Violation{
				Char: m.char, Where: "cold", What: string(e.row), When: r.answered,
				Got: got.String(), Want: fmt.Sprintf("version %d or newer: it was answered cold", r.version), value: got.value,
			})
		}
	}
}

func (c *client) lostCold(r *record) bool {
	for _, s := range c.faults.during(r.sent, time.Now()) {
		if losesCold(s.name) {
			return true
		}
	}
	return false
}
