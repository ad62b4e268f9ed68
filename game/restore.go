package game

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// A Restoration says what of a past to give back.
type Restoration struct {
	Parts []Part // of PartVitals, PartProgress, PartItems, PartScenarios; all of them where empty
	// DespiteTrades restores items although some of them were traded since: the others
	// keep what they got, so there is more of it than before.
	DespiteTrades bool
}

func (r Restoration) has(p Part) bool { return len(r.Parts) == 0 || slices.Contains(r.Parts, p) }

// OutcomeRestored is that of a line in the history which is no fight: experience was set.
const OutcomeRestored = "restored"

// ErrInContext is returned by Restore for a character that is in a context: what ends
// there later would build on what it was.
var ErrInContext = errors.New("character is in a context")

// TradedError is returned by Restore where items were traded since.
type TradedError struct{ Trades []events.Transfer }

func (e *TradedError) Error() string {
	say := func(t events.Transfer) string { return fmt.Sprintf("%s from %d to %d", t.ID, t.From, t.To) }
	return "items were traded since, and the others keep what they got: " + some(e.Trades, say)
}

func (e *TradedError) Unwrap() error { return ErrConflict }

// UnknownPastError is returned by Restore for rows of which nobody knows what they were.
type UnknownPastError struct{ Rows []events.RowKey }

func (e *UnknownPastError) Error() string {
	say := func(key events.RowKey) string { return string(key) }
	return "these rows have changed since, and no event says what they were: " + some(e.Rows, say)
}

func (e *UnknownPastError) Unwrap() error { return ErrConflict }

// some says a few of many.
func some[T any](all []T, say func(T) string) string {
	const few = 10
	var said []string
	for _, one := range all[:min(few, len(all))] {
		said = append(said, say(one))
	}
	text := strings.Join(said, ", ")
	if more := len(all) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Restore gives a character the values back that it had, at a new version; nil where it
// has them. Fights stay in its history, and one more line there says that the
// experience was set: no other event says it.
func Restore(s *State, v events.Version, past *Past, r Restoration) (*Change, error) {
	if err := r.check(s, past); err != nil {
		return nil, err
	}
	then := *s
	rows := r.take(&then, past.State)
	change, err := Restate(&then, v, events.CauseRestore, rows)
	if err != nil {
		return nil, err
	}
	change.sayDeltas(s)
	if xp := past.State.Progress.XP; r.has(PartProgress) && xp != s.Progress.XP {
		if change == nil {
			change = restated(s, v)
		}
		change.expect(s, PartProgress, PartSessions)
		line := uuid.NewSHA1(uuid.Nil, fmt.Appendf(nil, "restore/%d/%d", s.Char, v))
		change.result(s, line, events.Combat{Outcome: OutcomeRestored, XP: xp}, events.CauseRestore)
	}
	if change != nil {
		change.expect(s, PartContexts)
	}
	return change, nil
}

func (r Restoration) check(s *State, past *Past) error {
	unknown := slices.DeleteFunc(slices.Clone(past.Unknown), func(key events.RowKey) bool { return !r.has(partOf(key)) })
	switch {
	case len(s.Contexts.Active) > 0:
		return fmt.Errorf("%w, %v", ErrInContext, slices.Sorted(maps.Keys(s.Contexts.Active)))
	case len(unknown) > 0:
		return &UnknownPastError{unknown}
	case len(past.Trades) > 0 && r.has(PartItems) && !r.DespiteTrades:
		return &TradedError{past.Trades}
	}
	return nil
}

// sayDeltas has the events of a restatement say what it changes of the items of s.
func (c *Change) sayDeltas(s *State) {
	if c == nil {
		return
	}
	for i := range c.Events {
		if bag, ok := c.Events[i].Data.(events.Inventory); ok {
			for j := range bag.Items {
				bag.Items[j].Delta = bag.Items[j].Quantity - s.Items[bag.Items[j].ItemID].Quantity
			}
		}
	}
}

// partOf is the part of a row that has a past.
func partOf(key events.RowKey) Part {
	return map[events.Scope]Part{
		events.ScopeVitals: PartVitals, events.ScopeCombat: PartProgress,
		events.ScopeInventory: PartItems, events.ScopeScenario: PartScenarios,
	}[key.Scope()]
}

// take puts the values of a past into s, and returns the rows that were others.
func (r Restoration) take(s, past *State) (rows []events.RowKey) {
	if was := past.Vitals; r.has(PartVitals) && was != nil && (s.Vitals == nil || was.Vitals != s.Vitals.Vitals) {
		s.Vitals = was
		rows = append(rows, events.RowVitals)
	}
	if r.has(PartItems) {
		s.Items = joinRows(nil, s.Items) // a copy
		for id, was := range past.Items {
			if was.Quantity != s.Items[id].Quantity {
				s.Items[id] = was
				rows = append(rows, events.RowItem(id))
			}
		}
	}
	if r.has(PartScenarios) {
		s.Scenarios = joinRows(nil, s.Scenarios)
		for id, was := range past.Scenarios {
			if was.Status == StatusActive {
				was.Status = StatusPaused // its session is over
			}
			if !was.equals(s.Scenarios[id]) {
				s.Scenarios[id] = was
				rows = append(rows, events.RowScenario(id))
			}
		}
	}
	return rows
}

// equals compares what a player sees.
func (s Scenario) equals(other Scenario) bool {
	return s.Step == other.Step && s.Status == other.Status && bytes.Equal(s.Data, other.Data)
}
