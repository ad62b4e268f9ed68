package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
)

// character is one inhabitant. Its episodes are short stories of a player.
type character struct {
	world  *World
	id     int64
	random *rand.Rand
}

var (
	zones     = []string{"harbor", "old-town", "marsh", "ridge", "crypt"}
	loot      = []string{"sword", "shield", "potion", "gem", "rope"}
	scenarios = []string{"old-road", "lost-ship", "tower"}
	outcomes  = []string{"victory", "victory", "victory", "defeat", "fled"}
)

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (c *character) episode(ctx context.Context) error {
	switch n := c.random.IntN(100); {
	case n < 45:
		return c.move(ctx)
	case n < 65:
		return c.trade(ctx)
	case n < 82:
		return c.travel(ctx)
	default:
		return c.fight(ctx)
	}
}

// opened is what a context switch answers.
type opened struct {
	SessionID string `json:"session_id"`
}

func (c *character) move(ctx context.Context) error {
	c.world.counts[kindMoves].Add(1)
	return c.send(ctx, http.MethodPut, "vitals", map[string]any{
		"hp": c.random.IntN(100), "energy": c.random.IntN(100),
		"location": map[string]any{"zone": pick(c.random, zones), "x": c.random.Float64() * 100, "y": c.random.Float64() * 100},
	}, nil)
}

func (c *character) trade(ctx context.Context) error {
	c.world.counts[kindItems].Add(1)
	delta := c.random.IntN(6) - 2
	if delta == 0 {
		delta = 3
	}
	return c.send(ctx, http.MethodPost, "inventory", map[string]any{
		"changes": []any{map[string]any{"item_id": pick(c.random, loot), "delta": delta}},
	}, nil)
}

// travel goes some steps; it may be interrupted by a look into the bag, which
// pre-empts it, or the player drops out.
func (c *character) travel(ctx context.Context) error {
	c.world.counts[kindTravels].Add(1)
	var in opened
	if err := c.send(ctx, http.MethodPost, "contexts/scenario", map[string]any{"scenario_id": pick(c.random, scenarios)}, &in); err != nil || in.SessionID == "" {
		return err
	}
	for step := 1; step <= 3; step++ {
		err := c.send(ctx, http.MethodPatch, "contexts/scenario", map[string]any{
			"session_id": in.SessionID, "step": step, "data": map[string]any{"seen": step},
		}, nil)
		if err != nil {
			return err
		}
		switch c.random.IntN(10) {
		case 0:
			c.world.counts[kindDropouts].Add(1)
			return nil
		case 1:
			return c.send(ctx, http.MethodPost, "contexts/inventory", nil, nil)
		}
	}
	return c.send(ctx, http.MethodPost, "contexts/scenario/finish", in, nil)
}

func (c *character) fight(ctx context.Context) error {
	c.world.counts[kindFights].Add(1)
	var in opened
	if err := c.send(ctx, http.MethodPost, "contexts/combat", nil, &in); err != nil || in.SessionID == "" {
		return err
	}
	if err := c.send(ctx, http.MethodPatch, "contexts/combat", map[string]any{"session_id": in.SessionID, "round": 1}, nil); err != nil {
		return err
	}
	if c.random.IntN(20) == 0 {
		c.world.counts[kindDropouts].Add(1)
		return c.send(ctx, http.MethodPost, "contexts/inventory?force=true", nil, nil)
	}
	return c.send(ctx, http.MethodPost, "contexts/combat/finish", map[string]any{
		"session_id": in.SessionID, "outcome": pick(c.random, outcomes), "xp": c.random.IntN(200),
		"loot": []any{map[string]any{"item_id": pick(c.random, loot), "quantity": 1 + c.random.IntN(3)}},
	}, nil)
}

// send makes one request and reads a 2xx answer into out. A refusal by the
// rules of the game (409) is counted and no error.
func (c *character) send(ctx context.Context, method, path string, body, out any) error {
	var payload []byte
	if body != nil {
		payload, _ = json.Marshal(body) // maps of plain values
	}
	url := fmt.Sprintf("%s/v1/characters/%d/%s", c.world.cfg.Gateway, c.id, path)
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	answer, err := c.world.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err
	case answer.StatusCode == http.StatusConflict:
		c.world.counts[kindRefused].Add(1)
		return nil
	case answer.StatusCode >= 300:
		return fmt.Errorf("%s %s: %d %s", method, path, answer.StatusCode, text)
	case out == nil:
		return nil
	}
	return json.Unmarshal(text, out)
}
