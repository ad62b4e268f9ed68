package hot

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// How each row looks in Redis. What cannot be read back names the character and
// the row: somebody else wrote it.

func itoa[T ~int64 | ~int32](n T) string { return strconv.FormatInt(int64(n), 10) }

func ftoa(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// fields reads a hash, and remembers the first value that cannot be read.
type fields struct {
	key    string
	values map[string]string
	err    error
}

func (f *fields) int64(name string) int64 {
	text := f.values[name]
	if text == "" {
		return 0
	}
	n, err := strconv.ParseInt(text, 10, 64)
	f.fail(name, err)
	return n
}

func (f *fields) int32(name string) int32 { return int32(f.int64(name)) }

func (f *fields) float64(name string) float64 {
	v, err := strconv.ParseFloat(f.values[name], 64)
	f.fail(name, err)
	return v
}

func (f *fields) version(name string) events.Version { return events.Version(f.int64(name)) }

func (f *fields) uuid(name string) uuid.UUID {
	if f.values[name] == "" {
		return uuid.Nil
	}
	id, err := uuid.Parse(f.values[name])
	f.fail(name, err)
	return id
}

func (f *fields) fail(name string, err error) {
	if err != nil && f.err == nil {
		f.err = fmt.Errorf("redis key %s: field %s: %w", f.key, name, err)
	}
}

func decodeRows[V any](key string, values map[string]string, decode func(key, id, text string) (V, error)) (map[string]V, error) {
	rows := make(map[string]V, len(values))
	for id, text := range values {
		row, err := decode(key, id, text)
		if err != nil {
			return nil, err
		}
		rows[id] = row
	}
	return rows, nil
}

func encodeVitals(v *game.Vitals) []string {
	return []string{
		"hp", itoa(v.HP), "energy", itoa(v.Energy), "zone", v.Location.Zone,
		"x", ftoa(v.Location.X), "y", ftoa(v.Location.Y), "version", itoa(v.Version),
	}
}

func decodeVitals(key string, values map[string]string) (*game.Vitals, error) {
	if len(values) == 0 {
		return nil, nil
	}
	f := fields{key: key, values: values}
	v := &game.Vitals{Version: f.version("version")}
	v.HP, v.Energy = f.int32("hp"), f.int32("energy")
	v.Location = events.Location{Zone: values["zone"], X: f.float64("x"), Y: f.float64("y")}
	return v, f.err
}

func encodeItem(i game.Item) string { return itoa(i.Quantity) + "@" + itoa(i.Version) }

func decodeItem(key, id, text string) (game.Item, error) {
	quantity, version, _ := strings.Cut(text, "@")
	f := fields{key: key, values: map[string]string{id: quantity, id + "@": version}}
	item := game.Item{Quantity: f.int64(id), Version: f.version(id + "@")}
	return item, f.err
}

// scenarioJSON is the form of a scenario's progress.
type scenarioJSON struct {
	Step      int32           `json:"step"`
	Status    string          `json:"status"`
	SessionID uuid.UUID       `json:"session_id"`
	Version   events.Version  `json:"version"`
	Data      json.RawMessage `json:"data"`
}

func encodeScenario(s game.Scenario) (string, error) {
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // data must come back byte for byte
	err := enc.Encode(scenarioJSON{s.Step, s.Status, s.SessionID, s.Version, s.Data})
	return strings.TrimSuffix(out.String(), "\n"), err
}

func decodeScenario(key, id, text string) (game.Scenario, error) {
	var in scenarioJSON
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return game.Scenario{}, fmt.Errorf("redis key %s: field %s: %w", key, id, err)
	}
	return game.Scenario{Step: in.Step, Status: in.Status, SessionID: in.SessionID, Version: in.Version, Data: in.Data}, nil
}

func decodeTransfers(key string, values map[string]string) (map[uuid.UUID]events.Transfer, error) {
	transfers := make(map[uuid.UUID]events.Transfer, len(values))
	for id, text := range values {
		t, err := decodeTransfer(key, id, text)
		if err != nil {
			return nil, err
		}
		transfers[t.ID] = t
	}
	return transfers, nil
}

func decodeTransfer(key, id, text string) (t events.Transfer, err error) {
	if err = json.Unmarshal([]byte(text), &t); err != nil {
		err = fmt.Errorf("redis key %s: field %s: %w", key, id, err)
	}
	return t, err
}

func encodeSession(s game.Session) ([]string, error) {
	out := []string{
		"context", string(s.Context), "opened_at", itoa(s.OpenedAt), "version", itoa(s.Version),
	}
	if s.ScenarioID != "" {
		out = append(out, "scenario_id", s.ScenarioID)
	}
	if s.Context == game.ContextCombat {
		out = append(out, "round", itoa(s.Round))
	}
	if s.Data != nil {
		out = append(out, "data", string(s.Data))
	}
	if s.Result == nil {
		return append(out, "status", "open"), nil
	}
	result, err := events.Encode(s.Result)
	return append(out, "status", "closing", "result", string(result)), err
}

func decodeSession(key string, values map[string]string) (game.Session, error) {
	f := fields{key: key, values: values}
	s := game.Session{
		Context: game.Context(values["context"]), OpenedAt: f.version("opened_at"), Version: f.version("version"),
		ScenarioID: values["scenario_id"], Round: f.int32("round"),
	}
	if data := values["data"]; data != "" {
		s.Data = json.RawMessage(data)
	}
	if result := values["result"]; result != "" {
		e, err := events.Decode([]byte(result))
		f.fail("result", err)
		s.Result = &e
	}
	return s, f.err
}
