package gateway

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// Of players with much, fewer are remembered: however much each has, they take about as
// much memory as those with little.
func TestFewerLargeCopiesAreRemembered(t *testing.T) {
	const most = 300 << 20 // bytes, of all
	data := json.RawMessage(`"` + string(make([]byte, mostData-100)) + `"`)
	bag := make(map[string]game.Item)
	for i := range mostItems {
		bag[fmt.Sprint("item-", i)] = game.Item{}
	}
	for name, c := range map[string]struct {
		state game.State
		bytes int // in use of one, at least
		want  int // so many are remembered, at least
	}{
		"little": {game.State{}, 0, mostCopies},
		"data":   {game.State{Scenarios: map[string]game.Scenario{"road": {Data: data}}}, len(data), 10_000},
		"a bag":  {game.State{Items: bag}, mostItems * itemBytes, 10_000},
	} {
		copies := newCopies()
		c.state.Copy = "1"
		for char := range events.CharID(mostCopies) {
			copies.put(&remembered{loaded: game.Loaded{State: c.state}}, &game.Change{Char: char + 1})
		}
		known := 0
		for char := range events.CharID(mostCopies) {
			if _, ok := copies.known.Get(char + 1); ok {
				known++
			}
		}
		if known < c.want || known*c.bytes > most {
			t.Errorf("%s: %d copies of %d bytes are remembered, want at least %d, and no more than %d bytes", name, known, c.bytes, c.want, most)
		}
	}
}
