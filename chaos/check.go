package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/cold"
	"github.com/savepoint-games/savepoint/hot"
	"github.com/savepoint-games/savepoint/verify"
)

// settleTime is how long the mended system may take to save everything.
const settleTime = 60 * time.Second

// check compares the mended system with the models: PostgreSQL by SQL, Redis by
// the gateway, and both with each other row by row.
func (r *run) check(ctx context.Context) error {
	if err := r.rig.awaitGateways(ctx); err != nil {
		return err
	}
	// A copy that Redis brought back older is joined on first touch.
	for _, m := range r.models {
		if _, err := readHot(ctx, r.rig.gateways[0].addr, m.char); err != nil {
			return err
		}
	}
	if err := r.settle(ctx); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, r.rig.postgres.URL())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, m := range r.models {
		saved, err := readCold(ctx, conn, m.char)
		if err != nil {
			return err
		}
		live, err := readHot(ctx, r.rig.gateways[0].addr, m.char)
		if err != nil {
			return err
		}
		for _, v := range append(m.compare("cold", saved), m.compare("hot", live)...) {
			r.report(v)
		}
	}
	return nil
}

// settle waits until hot and cold agree and nothing is dirty.
func (r *run) settle(ctx context.Context) error {
	store, err := hot.Open(r.rig.redis.URL())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	pool, err := cold.OpenPool(ctx, r.rig.postgres.URL(), 2)
	if err != nil {
		return err
	}
	defer pool.Close()
	verifier := verify.Verifier{Hot: store, Cold: cold.New(pool)}
	report, err := verifier.Run(ctx, settleTime)
	if err != nil {
		return err
	}
	for _, d := range report.Differences {
		r.report(Violation{Char: int64(d.Char), Where: "cold", What: string(d.Row), Got: d.Cold, Want: "as hot: " + d.Hot})
	}
	if report.Dirty > 0 {
		r.report(Violation{Where: "hot", What: "dirty characters", Got: fmt.Sprint(report.Dirty), Want: "none"})
	}
	return nil
}

func readCold(ctx context.Context, conn *pgx.Conn, char int64) (*observed, error) {
	o := &observed{items: map[string]int64{}, fights: map[string]int64{}, scenarios: map[string]scenario{}}
	var (
		id, status string
		n          int64
		step       int
	)
	for _, q := range []struct {
		sql  string
		into []any
		add  func()
	}{
		{"SELECT hp FROM character_vitals WHERE char_id = $1", []any{&step}, func() { o.hp, o.moved = step, true }},
		{"SELECT xp FROM character_progress WHERE char_id = $1", []any{&n}, func() { o.xp = n }},
		{"SELECT item_id, quantity FROM items WHERE char_id = $1", []any{&id, &n}, func() { o.items[id] = n }},
		{"SELECT session_id::text, xp_gained FROM combat_history WHERE char_id = $1", []any{&id, &n}, func() { o.fights[id] = n }},
		{"SELECT scenario_id, step, status FROM scenario_progress WHERE char_id = $1", []any{&id, &step, &status},
			func() { o.scenarios[id] = scenario{step, status} }},
	} {
		rows, err := conn.Query(ctx, q.sql, char)
		if err != nil {
			return nil, err
		}
		if _, err := pgx.ForEachRow(rows, q.into, func() error { q.add(); return nil }); err != nil {
			return nil, fmt.Errorf("%s: %w", q.sql, err)
		}
	}
	return o, nil
}

// readHot asks the gateway. What it does not know is as if nothing had happened.
func readHot(ctx context.Context, gateway string, char int64) (*observed, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/v1/characters/%d", gateway, char), nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	o := &observed{items: map[string]int64{}, scenarios: map[string]scenario{}}
	if response.StatusCode == http.StatusNotFound {
		return o, nil
	}
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("character %d: %d %s: %w", char, response.StatusCode, text, err)
	}
	var view struct {
		Vitals   *struct{ HP int }
		Progress struct{ XP int64 }
		Items    []struct {
			ItemID   string `json:"item_id"`
			Quantity int64
		}
		Scenarios []struct {
			ScenarioID string `json:"scenario_id"`
			Step       int
			Status     string
		}
	}
	if err := json.Unmarshal(text, &view); err != nil {
		return nil, err
	}
	if view.Vitals != nil {
		o.hp, o.moved = view.Vitals.HP, true
	}
	o.xp = view.Progress.XP
	for _, item := range view.Items {
		o.items[item.ItemID] = item.Quantity
	}
	for _, p := range view.Scenarios {
		o.scenarios[p.ScenarioID] = scenario{p.Step, p.Status}
	}
	return o, nil
}
