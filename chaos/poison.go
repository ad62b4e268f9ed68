package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

const (
	// poisonFirst is above every character that is played: what is wrong with
	// an event of one of these is wrong for ever, since nobody saves it anew.
	poisonFirst = 1_000_000
	// poisonedEach is how many bad events one fault publishes.
	poisonedEach = 12
	// poisonTimeout bounds how long the fault waits for NATS to come back.
	poisonTimeout = 2 * time.Minute
	poisonAttempt = 2 * time.Second
)

// poison publishes bad events among the good ones, as a broken program would.
// Each is a dead letter at the end.
func poison(ctx context.Context, r *rig, x *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), poisonTimeout)
	defer cancel()
	nc, err := nats.Connect(r.nats.URL(), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(retryPause))
	if err != nil {
		return fmt.Errorf("poison: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("poison: %w", err)
	}
	for range poisonedEach {
		serial := r.poisoned.Add(1)
		subject, body, err := badEvent(serial, x)
		if err == nil {
			err = publishSurely(ctx, js, subject, body)
		}
		if err != nil {
			return fmt.Errorf("poison %d: %w", serial, err)
		}
		pause(ctx, time.Duration(x.IntN(50))*time.Millisecond)
	}
	return nil
}

// publishSurely returns when the stream has the message, perhaps more than once.
func publishSurely(ctx context.Context, js jetstream.JetStream, subject string, body []byte) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, poisonAttempt)
		_, err := js.Publish(attempt, subject, body)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err
		}
		pause(ctx, retryPause)
	}
}

// badEvent makes an event that no saver can save. No two with different serials
// are alike.
func badEvent(serial int64, x *rand.Rand) (subject string, body []byte, err error) {
	scope := any1(x, events.Scopes())
	if x.IntN(4) == 0 {
		// Bytes on the subject of somebody who plays. Not vitals: newer ones
		// make up for whatever a letter of vitals says.
		for scope == events.ScopeVitals {
			scope = any1(x, events.Scopes())
		}
		char := any1(x, append([]int64{1, 2, 3, 4, 5}, marketChars()...))
		return events.Subject(scope, events.CharID(char)), fmt.Appendf(nil, "\xff{%d", serial), nil
	}
	char := events.CharID(poisonFirst + serial)
	good := goodEvent(scope, char, time.Now())
	text, err := events.Encode(&good)
	if err != nil {
		return "", nil, err
	}
	body, err = spoiled(text, x.IntN(spoilings), char)
	return events.Subject(scope, char), body, err
}

// goodEvent is a valid event of a scope.
func goodEvent(scope events.Scope, char events.CharID, at time.Time) events.StateChanged {
	session := uuid.Nil
	var data events.Data
	switch scope {
	case events.ScopeCombat:
		session = uuid.New()
		data = events.Combat{Outcome: "victory", StartedAt: at, FinishedAt: at, Rounds: 1, XPGained: 1, XP: 1}
	case events.ScopeInventory:
		data = events.Inventory{Items: []events.ItemChange{{ItemID: "poison", Delta: 1, Quantity: 1}}}
	case events.ScopeScenario:
		session = uuid.New()
		data = events.Scenario{ScenarioID: "poison", Status: "active", Data: json.RawMessage("{}")}
	default:
		data = events.Vitals{Location: events.Location{Zone: "poison"}}
	}
	return events.New(char, events.Version(at.UnixMicro()), events.CauseAction, session, scope, data)
}

// spoilings is how many ways there are to spoil an event.
const spoilings = 6

// spoiled makes a valid event a bad one.
func spoiled(text []byte, how int, char events.CharID) ([]byte, error) {
	if how == 0 {
		return text[:len(text)-1], nil // cut off
	}
	var e map[string]any
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, err
	}
	data, _ := e["data"].(map[string]any)
	switch how {
	case 1:
		data["mana"] = 1
	case 2:
		e["version"] = "now" // a wrong type
	case 3:
		negative(data)
	case 4: // of somebody else, who is nobody, too
		e["char_id"] = char + poisonFirst
	case 5:
		e["version"] = time.Now().Add(10 * time.Minute).UnixMicro()
	}
	// Numbers of an event have up to 16 digits, which a float64 holds.
	return json.Marshal(e)
}

// negative sets a value that the tables refuse.
func negative(data map[string]any) {
	for _, name := range []string{"hp", "xp", "step"} {
		if _, ok := data[name]; ok {
			data[name] = -1
			return
		}
	}
	if items, ok := data["items"].([]any); ok && len(items) > 0 {
		if item, ok := items[0].(map[string]any); ok {
			item["quantity"] = -1
		}
	}
}
