package game

import (
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// Ties are the trades that events of any character carry, by those whom they
// touch. An event shows both sides of a trade, but lies under the subject of one
// character: where Redis has lost the trade, the events of the other one may not
// tell of it. The zero value is empty.
type Ties struct {
	of map[events.CharID]map[uuid.UUID]events.Transfer
}

// Add takes in the trades that one event carries: whoever has a side in one of
// them is tied to all, since they may rest on each other.
func (t *Ties) Add(carried []events.Transfer) {
	for _, trade := range carried {
		for _, char := range []events.CharID{trade.From, trade.To} {
			if t.of == nil {
				t.of = make(map[events.CharID]map[uuid.UUID]events.Transfer)
			}
			known := t.of[char]
			if known == nil {
				known = make(map[uuid.UUID]events.Transfer)
				t.of[char] = known
			}
			for _, other := range carried {
				known[other.ID] = joinTransfer(char, known[other.ID], other)
			}
		}
	}
}

// State is what the trades know of a character: themselves, and what it had after
// each of those in which it has a side.
func (t *Ties) State(char events.CharID) *State {
	s := &State{Char: char}
	for _, trade := range t.of[char] {
		Join(s, fromTrade(char, trade))
	}
	return s
}

// fromTrade is what a trade knows of a character.
func fromTrade(char events.CharID, t events.Transfer) *State {
	if char == t.From || char == t.To && t.Completed() {
		side := TransferEvent(t, char, []events.Transfer{t})
		return FromEvent(&side)
	}
	return &State{Char: char, Transfers: map[uuid.UUID]events.Transfer{t.ID: t}}
}
