package game

import (
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// A Tail is what the stream knows of a character.
type Tail struct {
	Events []events.StateChanged // those that may not be saved
	Newest events.Version        // of these and of other recent events
	// Settled is the newest event that savers had settled, of all, where it is the
	// character's newest or a recent one. PostgreSQL has what it says, unless it is a
	// dead letter, or PostgreSQL has gone back to an older copy.
	Settled *events.StateChanged
	// Answers are what recent events have answered, oldest first.
	Answers []Answered
	trades  map[uuid.UUID]int // where Answers has them
}

// AnswerMemory is how far back the stream is asked for answers: longer than a client goes
// on repeating a request that got none. Nobody needs the answers that Redis lost longer
// ago.
const AnswerMemory = time.Minute

// Answered is a request that a recent event has answered: Request, or the one for
// Trade, which is known by its id.
type Answered struct {
	Request Request
	Trade   *events.Transfer // nil for any other request
}

// AnsweredTrades takes in the trades that a recent event carries, newer than all
// that were taken in before: those that are completed and have a side of the
// character's.
func (t *Tail) AnsweredTrades(char events.CharID, carried []events.Transfer) {
	for i := range carried {
		trade := &carried[i]
		if trade.From != char && trade.To != char || !trade.Completed() {
			continue
		}
		at, known := t.trades[trade.ID]
		switch {
		case !known:
			if t.trades == nil {
				t.trades = make(map[uuid.UUID]int)
			}
			t.trades[trade.ID] = len(t.Answers)
			t.Answers = append(t.Answers, Answered{Trade: trade})
		case t.Answers[at].Trade.Before(trade):
			t.Answers[at].Trade = trade
		}
	}
}
