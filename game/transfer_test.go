package game_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// A receiver keeps, with the trade, what the sender's items rest on; but none that
// it has already, which may have been saved and forgotten since it was loaded, and
// none of its own that it has forgotten.
func TestReceiverLearnsOnlyWhatIsNewsToIt(t *testing.T) {
	t.Parallel()
	trade := func(from, to events.CharID, version, toVersion events.Version) events.Transfer {
		return events.Transfer{
			ID: uuid.New(), From: from, To: to, Version: version, ToVersion: toVersion,
			Items: []events.Moved{{ItemID: "gem", Quantity: 1}},
		}
	}
	inEscrow, known, others, forgotten := trade(3, 4, 10, 0), trade(4, 3, 11, 12), trade(1, 2, 13, 14), trade(3, 5, 15, 16)
	completed, older := trade(3, 4, 20, 21), trade(3, 4, 22, 23)
	completedKnown, olderKnown := completed, older
	completedKnown.ToVersion = 0 // the completed form is news
	older.ToVersion = 0          // this form is not
	state := &game.State{Char: 3, Version: 30, Transfers: map[uuid.UUID]events.Transfer{
		inEscrow.ID: inEscrow, known.ID: known, completed.ID: completedKnown, older.ID: olderKnown,
	}}
	gift := trade(2, 3, 40, 0)

	change, made, err := game.Receive(state, 41, gift, []events.Transfer{inEscrow, known, others, forgotten, completed, older})
	if err != nil {
		t.Fatal(err)
	}

	want := map[uuid.UUID]events.Transfer{made.ID: made, others.ID: others, completed.ID: completed}
	if diff := cmp.Diff(want, change.Transfers); diff != "" {
		t.Errorf("learned (-want +got):\n%s", diff)
	}
}

// A tail answers for each completed trade of the character once, where it was first
// told of, in its newest form.
func TestTailAnswersForTrades(t *testing.T) {
	made := func(n byte, from, to events.CharID, v, toVersion events.Version) events.Transfer {
		return events.Transfer{ID: uuid.UUID{n}, From: from, To: to, Version: v, ToVersion: toVersion}
	}
	first, again := made(1, 1, 2, 10, 11), made(1, 1, 2, 20, 21)
	escrow, others, taken := made(2, 1, 2, 12, 0), made(3, 2, 3, 13, 14), made(4, 3, 1, 15, 16)
	var tail game.Tail
	tail.AnsweredTrades(1, []events.Transfer{first, escrow, others})
	tail.AnsweredTrades(1, []events.Transfer{taken})
	tail.AnsweredTrades(1, []events.Transfer{again, taken})
	tail.AnsweredTrades(1, []events.Transfer{first})
	want := []game.Answered{{Trade: &again}, {Trade: &taken}}
	if diff := cmp.Diff(want, tail.Answers); diff != "" {
		t.Error(diff)
	}
}
