package hot_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Texts reach Redis packed, with a length of one, two, three or five bytes before them:
// each arrives as it is.
func TestTextsOfEachLengthArriveAsTheyAre(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		c := &game.Change{Char: char, Version: r.next(), Scenarios: make(map[string]game.Scenario)}
		add := func(id string, length int) {
			c.Scenarios[id] = game.Scenario{
				Status: game.StatusActive, SessionID: uuid.New(), Version: c.Version,
				Data: json.RawMessage(`{"é` + strings.Repeat("x", length) + `":1}`),
			}
		}
		for length := range 128 {
			add(strings.Repeat("y", length+1), 0)
		}
		for less := range 200 { // what is stored is longer than its data by less than that
			add(fmt.Sprint(8, less), 1<<8-less)
			add(fmt.Sprint(16, less), 1<<16-less)
		}
		r.must(r.store.Commit(r.ctx, c, game.Request{}))

		after := r.load(char).Scenarios
		for id, want := range c.Scenarios {
			if got := after[id]; !bytes.Equal(got.Data, want.Data) {
				t.Errorf("%s: %d bytes, want %d as they were", id, len(got.Data), len(want.Data))
			}
		}
	})
}

// One who fought a lot while PostgreSQL was away has a key for each fight, more than a
// byte can number, and more marks than one command takes.
func TestJoinWritesAsManyKeysAsThereAre(t *testing.T) {
	onBoth(t, func(t *testing.T, r *rig) {
		char := r.character()
		before := r.load(char)
		joined := before.State
		joined.Version = r.next()
		joined.Sessions = make(map[uuid.UUID]game.Session)
		for range 1200 {
			joined.Sessions[uuid.New()] = game.Session{Context: game.ContextCombat, OpenedAt: joined.Version, Version: joined.Version}
		}
		joined.Items = make(map[string]game.Item)
		for i := range 2500 {
			joined.Items[fmt.Sprint("gem", i)] = game.Item{Quantity: 1, Version: joined.Version}
		}
		var dirty []events.Row
		for id, item := range joined.Items {
			dirty = append(dirty, events.Row{Key: events.RowItem(id), Version: item.Version})
		}
		r.must(r.store.CommitJoin(r.ctx, &before.State, &joined, game.Joining{Dirty: dirty}))

		equal(t, "sessions", len(r.keys(fmt.Sprintf("{ac:%d}:session:", char))), len(joined.Sessions))
		equal(t, "items", r.load(char).Items, joined.Items)
		equal(t, "marks", len(r.marks(char)), len(dirty))
	})
}
