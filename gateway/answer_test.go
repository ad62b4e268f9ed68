package gateway

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// What is written by hand is what the tags of the answer say.
func TestAnswerIsWrittenAsItsTagsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		answer := anyAnswer(t)
		var out bytes.Buffer
		if err := writeBody(&out, answer); err != nil {
			t.Fatal(err)
		}
		text := out.Bytes()
		want, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(parsed(t, want), parsed(t, text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	})
}

func parsed(t *rapid.T, text []byte) (value map[string]any) {
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}

func anyAnswer(t *rapid.T) *Answer {
	a := &Answer{
		CharID: events.CharID(rapid.Int64Min(1).Draw(t, "char")), Version: events.Version(rapid.Int64Min(1).Draw(t, "version")),
		Durability: rapid.SampledFrom([]Durability{DurabilityHot, DurabilityStream, DurabilityCold}).Draw(t, "durability"),
	}
	if rapid.Bool().Draw(t, "session") {
		a.SessionID = uuid.New()
	}
	if rapid.Bool().Draw(t, "xp") {
		xp := rapid.Int64().Draw(t, "n")
		a.XP = &xp
	}
	if n := rapid.IntRange(-1, 2).Draw(t, "preempted"); n >= 0 {
		a.Preempted = make([]game.Preempted, 0, n)
		for range n {
			a.Preempted = append(a.Preempted, game.Preempted{Context: rapid.SampledFrom(game.AllContexts).Draw(t, "context"), SessionID: uuid.New()})
		}
	}
	if n := rapid.IntRange(-1, 3).Draw(t, "items"); n >= 0 {
		a.Items = make([]Quantity, 0, n)
		for range n {
			a.Items = append(a.Items, Quantity{ItemID: rapid.String().Draw(t, "item"), Quantity: rapid.Int64().Draw(t, "quantity")})
		}
	}
	return a
}
