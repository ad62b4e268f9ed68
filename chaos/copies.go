package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/savepoint-games/savepoint/events"
)

// cell is a row as a copy has it.
type cell struct {
	value
	version events.Version
}

func (c cell) String() string {
	if c == (cell{}) {
		return "absent"
	}
	return fmt.Sprintf("%s, version %d", c.value, c.version)
}

// inCold and inHot say which rows a copy can have.
func inCold(key events.RowKey) bool { return key != rowContexts }
func inHot(key events.RowKey) bool  { return !strings.HasPrefix(string(key), "fight:") }

// querier is a connection or a pool of them.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// readCold reads a character from PostgreSQL by plain SQL, without the
// product's own reader.
func readCold(ctx context.Context, db querier, char int64) (map[events.RowKey]cell, error) {
	rows, err := db.Query(ctx, `
		SELECT 'vitals', hp::bigint, '', version FROM character_vitals WHERE char_id = $1
		UNION ALL SELECT 'progress', xp, '', version FROM character_progress WHERE char_id = $1
		UNION ALL SELECT 'item:' || item_id, quantity, '', version FROM items WHERE char_id = $1
		UNION ALL SELECT 'fight:' || session_id, xp_gained, outcome, version FROM combat_history WHERE char_id = $1
		UNION ALL SELECT 'scenario:' || scenario_id, step, status || ' ' || session_id, version FROM scenario_progress WHERE char_id = $1`,
		char)
	if err != nil {
		return nil, fmt.Errorf("cold copy of character %d: %w", char, err)
	}
	copied := make(map[events.RowKey]cell)
	var (
		key  string
		read cell
	)
	_, err = pgx.ForEachRow(rows, []any{&key, &read.n, &read.text, &read.version}, func() error {
		copied[events.RowKey(key)] = read
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cold copy of character %d: %w", char, err)
	}
	return copied, nil
}

// view is a character as the gateway answers.
type view struct {
	Vitals *struct {
		HP      int64
		Version events.Version
	}
	Progress struct {
		XP      int64
		Version events.Version
	}
	Items []struct {
		ItemID   string `json:"item_id"`
		Quantity int64
		Version  events.Version
	}
	Scenarios []struct {
		ScenarioID string `json:"scenario_id"`
		Step       int64
		Status     string
		SessionID  string `json:"session_id"`
		Version    events.Version
	}
	Contexts map[string]struct {
		SessionID string `json:"session_id"`
		Version   events.Version
	}
	Dirty []struct {
		Row     events.RowKey
		Version events.Version
	}
	Escrow []struct {
		TransferID string `json:"transfer_id"`
		To         int64
		Version    events.Version
	}
}

func (v *view) cells() map[events.RowKey]cell {
	copied := make(map[events.RowKey]cell)
	if v.Vitals != nil {
		copied[events.RowVitals] = cell{value{n: v.Vitals.HP}, v.Vitals.Version}
	}
	copied[events.RowProgress] = cell{value{n: v.Progress.XP}, v.Progress.Version}
	for _, item := range v.Items {
		copied[events.RowItem(item.ItemID)] = cell{value{n: item.Quantity}, item.Version}
	}
	for _, p := range v.Scenarios {
		copied[events.RowScenario(p.ScenarioID)] = cell{value{p.Step, p.Status + " " + p.SessionID}, p.Version}
	}
	var open []string
	var at events.Version
	for context, session := range v.Contexts {
		open = append(open, context+" "+session.SessionID)
		at = max(at, session.Version)
	}
	slices.Sort(open)
	if len(open) > 0 {
		copied[rowContexts] = cell{value{text: strings.Join(open, ", ")}, at}
	}
	return copied
}

func (v *view) dirty() events.RowVersions {
	marks := make(events.RowVersions)
	for _, d := range v.Dirty {
		marks[d.Row] = d.Version
	}
	return marks
}

// errNotNow is wrapped where a gateway cannot answer at this moment.
var errNotNow = errors.New("not now")

// readHot asks a gateway. What it does not know is as if nothing had happened.
func readHot(ctx context.Context, client *http.Client, gateway string, char int64) (*view, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/v1/characters/%d", gateway, char), nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotNow, err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	switch {
	case err != nil || response.StatusCode >= 500:
		return nil, fmt.Errorf("%w: hot copy of character %d: %d %s: %w", errNotNow, char, response.StatusCode, text, err)
	case response.StatusCode == http.StatusNotFound:
		return &view{}, nil
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("hot copy of character %d: %d %s", char, response.StatusCode, text)
	}
	var v view
	return &v, json.Unmarshal(text, &v)
}

func sorted[V any](set map[events.RowKey]V) []events.RowKey { return slices.Sorted(maps.Keys(set)) }
