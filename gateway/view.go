package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// ErrUnknown is returned for a character that nobody knows.
var ErrUnknown = errors.New("no such character")

// A View is a character as callers see it, each part with its version.
type View struct {
	CharID    events.CharID                `json:"char_id"`
	Version   events.Version               `json:"version"`
	Vitals    *VitalsView                  `json:"vitals"`
	Progress  ProgressView                 `json:"progress"`
	Items     []ItemView                   `json:"items"`
	Scenarios []ScenarioView               `json:"scenarios"`
	Contexts  map[game.Context]SessionView `json:"contexts,omitzero"`
	Dirty     []DirtyView                  `json:"dirty,omitzero"`
	// Escrow lists the trades whose items have left this character and not
	// arrived yet.
	Escrow []EscrowView `json:"escrow,omitempty"`
}

// EscrowView is a trade that is on its way.
type EscrowView struct {
	TransferID uuid.UUID      `json:"transfer_id"`
	To         events.CharID  `json:"to"`
	Version    events.Version `json:"version"`
	Items      []Quantity     `json:"items"`
}

// VitalsView are the vitals at a version.
type VitalsView struct {
	events.Vitals
	Version events.Version `json:"version"`
}

// ProgressView is the experience at a version.
type ProgressView struct {
	XP      int64          `json:"xp"`
	Version events.Version `json:"version"`
}

// ItemView is an item that the character has at least one of.
type ItemView struct {
	Quantity
	Version events.Version `json:"version"`
}

// ScenarioView is the progress in one scenario.
type ScenarioView struct {
	ScenarioID string          `json:"scenario_id"`
	Step       int32           `json:"step"`
	Status     string          `json:"status"`
	Data       json.RawMessage `json:"data"`
	SessionID  uuid.UUID       `json:"session_id"`
	Version    events.Version  `json:"version"`
}

// SessionView is an open session.
type SessionView struct {
	SessionID  uuid.UUID       `json:"session_id"`
	Version    events.Version  `json:"version"`
	ScenarioID string          `json:"scenario_id,omitempty"`
	Round      *int32          `json:"round,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
}

// DirtyView is a row that is not saved at this version yet.
type DirtyView struct {
	Row     events.RowKey  `json:"row"`
	Scope   events.Scope   `json:"scope,omitempty"`
	Version events.Version `json:"version"`
}

// Character returns a character from its hot state, which it loads where Redis does
// not have it, or ErrUnknown.
func (s *Service) Character(ctx context.Context, char events.CharID) (*View, error) {
	ctx, cancel := context.WithTimeout(ctx, s.ActionTimeout)
	defer cancel()
	loaded, err := s.load(ctx, char, game.Everything)
	if err != nil {
		return nil, err
	}
	if loaded.Version == 0 {
		return nil, ErrUnknown
	}
	view := newView(&loaded.State)
	view.Contexts = make(map[game.Context]SessionView)
	for context, id := range loaded.Contexts.Active {
		view.Contexts[context] = newSessionView(id, loaded.Sessions[id])
	}
	view.Dirty = dirtyViews(loaded.Dirty)
	view.Escrow, err = s.onTheWay(ctx, view.Escrow, &loaded.State)
	return view, err
}

// onTheWay leaves out of escrow the trades that have arrived since.
// The sender's copy keeps those in escrow until they are saved, because what the
// receiver's side rests on is the receiver's to know.
func (s *Service) onTheWay(ctx context.Context, escrow []EscrowView, sender *game.State) (left []EscrowView, err error) {
	trades := make([]events.Transfer, len(escrow))
	keys := make([]string, len(escrow))
	for i, e := range escrow {
		trades[i], keys[i] = sender.Transfers[e.TransferID], tradeKey(e.TransferID)
	}
	arrived, err := s.Hot.Arrived(ctx, trades, keys)
	if err != nil {
		return nil, err
	}
	for i, e := range escrow {
		if !arrived[i] {
			left = append(left, e)
		}
	}
	return left, nil
}

// ColdCharacter returns a character as PostgreSQL has it, or ErrUnknown.
func (s *Service) ColdCharacter(ctx context.Context, char events.CharID) (*View, error) {
	ctx, cancel := context.WithTimeout(ctx, s.ActionTimeout)
	defer cancel()
	state, err := s.Cold.Load(ctx, char)
	if err != nil {
		return nil, err
	}
	if state.Version == 0 {
		return nil, ErrUnknown
	}
	return newView(state), nil
}

func newView(s *game.State) *View {
	view := &View{CharID: s.Char, Version: s.Version,
		Progress: ProgressView{s.Progress.XP, s.Progress.Version},
		Items:    []ItemView{}, Scenarios: []ScenarioView{},
	}
	if s.Vitals != nil {
		view.Vitals = &VitalsView{s.Vitals.Vitals, s.Vitals.Version}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Items)) {
		if item := s.Items[id]; item.Quantity > 0 {
			view.Items = append(view.Items, ItemView{Quantity{id, item.Quantity}, item.Version})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Scenarios)) {
		p := s.Scenarios[id]
		view.Scenarios = append(view.Scenarios, ScenarioView{id, p.Step, p.Status, p.Data, p.SessionID, p.Version})
	}
	for _, t := range s.Transfers {
		if t.From == s.Char && t.InEscrow() {
			view.Escrow = append(view.Escrow, EscrowView{t.ID, t.To, t.Version, newTransferAnswer(&t).Items})
		}
	}
	return view
}

func newSessionView(id uuid.UUID, s game.Session) SessionView {
	view := SessionView{SessionID: id, Version: s.Version, ScenarioID: s.ScenarioID, Data: s.Data}
	if s.Context == game.ContextCombat {
		view.Round = &s.Round
	}
	return view
}

func dirtyViews(marks events.RowVersions) []DirtyView {
	views := []DirtyView{}
	for _, row := range slices.Sorted(maps.Keys(marks)) {
		views = append(views, DirtyView{row, row.Scope(), marks[row]})
	}
	return views
}
