package game

import (
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// ErrConflict is wrapped by each domain error: the request is well formed, and
// the character's state refuses it. Nothing was changed.
var ErrConflict = errors.New("conflict")

// InsufficientError is returned where a quantity would go below zero.
type InsufficientError struct {
	ItemID      string
	Have, Delta int64
}

func (e *InsufficientError) Error() string {
	return fmt.Sprintf("item %q: has %d, cannot change by %d", e.ItemID, e.Have, e.Delta)
}

func (e *InsufficientError) Unwrap() error { return ErrConflict }

// OverflowError is returned where an amount would leave the range of int64.
type OverflowError struct{ What string }

func (e *OverflowError) Error() string { return e.What + " would exceed its largest value" }
func (e *OverflowError) Unwrap() error { return ErrConflict }

// NotOpenError is returned for a write to a session that is not the open one:
// it has ended, was pre-empted, or never was.
type NotOpenError struct {
	Context   Context
	SessionID uuid.UUID
	Open      uuid.UUID // what is open instead, or uuid.Nil
}

func (e *NotOpenError) Error() string {
	if e.Open == uuid.Nil {
		return fmt.Sprintf("%s session %s is not open", e.Context, e.SessionID)
	}
	return fmt.Sprintf("%s session %s is not open: %s is", e.Context, e.SessionID, e.Open)
}

func (e *NotOpenError) Unwrap() error { return ErrConflict }

// InCombatError is returned where a fight would have to be pre-empted and the
// request does not force it.
type InCombatError struct{ SessionID uuid.UUID }

func (e *InCombatError) Error() string {
	return fmt.Sprintf("combat session %s is active and is not pre-empted; add ?force=true to abandon it", e.SessionID)
}

func (e *InCombatError) Unwrap() error { return ErrConflict }
