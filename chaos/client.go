package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// counts is what the clients saw.
type counts struct {
	acked, hot, refused, repeated atomic.Int64
}

func (c *counts) String() string {
	return fmt.Sprintf("%d acknowledged (%d of them hot), %d refused, %d repeats", c.acked.Load(), c.hot.Load(), c.refused.Load(), c.repeated.Load())
}

// client plays its own characters, one action after another.
type client struct {
	http     *http.Client
	gateways []string
	random   *rand.Rand
	models   []*model
	counts   *counts
	report   func(Violation)
}

// answer is what the client reads of any answer.
type answer struct {
	SessionID  string `json:"session_id"`
	Version    int64  `json:"version"`
	Durability string `json:"durability"`
	XP         *int64 `json:"xp"`
	Items      []struct {
		ItemID   string `json:"item_id"`
		Quantity int64  `json:"quantity"`
	} `json:"items"`
	Preempted []struct {
		Context   string `json:"context"`
		SessionID string `json:"session_id"`
	} `json:"preempted"`
}

// errUnanswered is returned where an action got no answer before the end.
var errUnanswered = errors.New("no answer")

// play acts until ctx is done, and finishes the action it is in.
func (c *client) play(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := c.episode(c.models[c.random.IntN(len(c.models))]); err != nil {
			return err
		}
	}
	return nil
}

func (c *client) episode(m *model) error {
	switch n := c.random.IntN(100); {
	case n < 40:
		return c.move(m)
	case n < 70:
		return c.trade(m)
	case n < 85:
		return c.travel(m)
	}
	return c.fight(m)
}

func (c *client) move(m *model) error {
	hp := m.hp + 1
	_, err := c.must(m, "PUT", "vitals", fmt.Sprintf(`{"hp":%d,"energy":1,"location":{"zone":"harbor","x":1,"y":2}}`, hp))
	if err == nil {
		m.hp, m.moved = hp, true
	}
	return err
}

var itemIDs = []string{"sword", "potion", "gem"}

func (c *client) trade(m *model) error {
	id, delta := itemIDs[c.random.IntN(len(itemIDs))], int64(c.random.IntN(9)-3)
	if delta == 0 {
		delta = 1
	}
	status, a, err := c.send(m, "POST", "inventory", fmt.Sprintf(`{"changes":[{"item_id":%q,"delta":%d}]}`, id, delta))
	if err != nil {
		return err
	}
	want := m.items[id] + delta
	switch {
	case status == http.StatusConflict && want < 0:
		return nil
	case status != http.StatusOK:
		c.report(Violation{m.char, "answer", "item " + id, fmt.Sprint("status ", status), fmt.Sprintf("200 and %d", want)})
		return nil
	case len(a.Items) != 1 || a.Items[0].Quantity != want:
		c.report(Violation{m.char, "answer", "item " + id, fmt.Sprint(a.Items), fmt.Sprint(want)})
	}
	m.items[id] = want
	return nil
}

func (c *client) travel(m *model) error {
	id := fmt.Sprint("road-", c.random.IntN(3))
	a, err := c.must(m, "POST", "contexts/scenario", fmt.Sprintf(`{"scenario_id":%q}`, id))
	if err != nil {
		return err
	}
	c.leave(m, a)
	at := m.scenarios[id]
	if at.status == "completed" {
		at.step = 0
	}
	m.scenarios[id] = scenario{at.step, "active"}
	for step := 1; step <= 2; step++ {
		if _, err := c.must(m, "PATCH", "contexts/scenario", fmt.Sprintf(`{"session_id":%q,"step":%d,"data":{"n":%d}}`, a.SessionID, step, step)); err != nil {
			return err
		}
		m.scenarios[id] = scenario{step, "active"}
	}
	switch c.random.IntN(3) {
	case 0: // stays on the road
		return nil
	case 1: // looks into the bag
		bag, err := c.must(m, "POST", "contexts/inventory", "{}")
		if err == nil {
			c.leave(m, bag)
		}
		return err
	}
	if _, err := c.must(m, "POST", "contexts/scenario/finish", fmt.Sprintf(`{"session_id":%q}`, a.SessionID)); err != nil {
		return err
	}
	m.scenarios[id] = scenario{2, "completed"}
	return nil
}

// leave applies what a context switch pre-empted.
func (c *client) leave(m *model, a *answer) {
	for _, p := range a.Preempted {
		if p.Context != "scenario" {
			continue
		}
		for id, at := range m.scenarios {
			if at.status == "active" {
				m.scenarios[id] = scenario{at.step, "paused"}
			}
		}
	}
}

func (c *client) fight(m *model) error {
	a, err := c.must(m, "POST", "contexts/combat", "{}")
	if err != nil {
		return err
	}
	c.leave(m, a)
	gained, loot := int64(c.random.IntN(100)), int64(1+c.random.IntN(3))
	id := itemIDs[c.random.IntN(len(itemIDs))]
	won, err := c.must(m, "POST", "contexts/combat/finish", fmt.Sprintf(
		`{"session_id":%q,"outcome":"victory","xp":%d,"loot":[{"item_id":%q,"quantity":%d}]}`, a.SessionID, gained, id, loot))
	if err != nil {
		return err
	}
	m.xp += gained
	m.items[id] += loot
	m.fights[a.SessionID] = gained
	if won.XP == nil || *won.XP != m.xp {
		c.report(Violation{m.char, "answer", "xp", fmt.Sprint(won.XP), fmt.Sprint(m.xp)})
	}
	return nil
}

// must sends an action that the rules cannot refuse.
func (c *client) must(m *model, method, path, body string) (*answer, error) {
	status, a, err := c.send(m, method, path, body)
	if err == nil && status >= 300 {
		c.report(Violation{m.char, "answer", method + " " + path + " " + body, fmt.Sprint("status ", status), "2xx"})
		return a, nil
	}
	return a, err
}

const (
	attemptTimeout = 3 * time.Second
	attempts       = 400 // with their pauses, some minutes: longer than any fault
	retryPause     = 100 * time.Millisecond
)

// send repeats a request, with one idempotency key and on changing gateways,
// until it is answered for good.
func (c *client) send(m *model, method, path, body string) (int, *answer, error) {
	key := uuid.NewString()
	for n := range attempts {
		if n > 0 {
			c.counts.repeated.Add(1)
			time.Sleep(retryPause)
		}
		gateway := c.gateways[c.random.IntN(len(c.gateways))]
		status, a, err := c.attempt(fmt.Sprintf("http://%s/v1/characters/%d/%s", gateway, m.char, path), method, body, key)
		switch {
		case err != nil || status >= 500:
			continue
		case status < 300:
			c.counts.acked.Add(1)
			if a.Durability == "hot" {
				c.counts.hot.Add(1)
			}
		default:
			c.counts.refused.Add(1)
		}
		return status, a, nil
	}
	return 0, nil, fmt.Errorf("%s %s of character %d: %w", method, path, m.char, errUnanswered)
}

func (c *client) attempt(url, method, body, key string) (int, *answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Idempotency-Key", key)
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, err
	}
	var a answer
	if response.StatusCode < 300 {
		err = json.Unmarshal(text, &a)
	}
	return response.StatusCode, &a, err
}
