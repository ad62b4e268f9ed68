// Package events is what Savepoint says: typed StateChanged events, their
// versions, ids, subjects and their one form as JSON (docs/events.md). It knows
// nothing of Redis, NATS or PostgreSQL.
package events

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
)

// Schema is the version of the event format that this build writes. It reads
// that one and all before it.
const Schema = 1

// MaxBytes is the largest event, in bytes of its JSON form.
const MaxBytes = 256 << 10

// A Cause says why an event was published.
type Cause string

// The causes.
const (
	CauseAction    Cause = "action"    // a player's action
	CauseExplicit  Cause = "explicit"  // a service ended its own work
	CausePreempted Cause = "preempted" // a context switch ended it
	CauseCleanup   Cause = "cleanup"   // the sweeper found it unsaved or lost
	CauseDispatch  Cause = "dispatch"  // a save ordered by hand
	CauseRestore   Cause = "restore"   // values of an earlier moment were given back
	CauseTransfer  Cause = "transfer"  // a trade between two characters
)

var causes = []Cause{
	CauseAction, CauseExplicit, CausePreempted, CauseCleanup, CauseDispatch, CauseRestore, CauseTransfer,
}

func (c Cause) valid() bool { return slices.Contains(causes, c) }

// A StateChanged event says that a scope of a character has a new state. It
// carries resulting values beside the change, never a bare increment: whoever
// stores it keeps the result where its version is higher, so any order and any
// number of deliveries end in the same rows.
type StateChanged struct {
	ID         uuid.UUID
	Scope      Scope
	CharID     CharID
	Version    Version
	Cause      Cause
	SessionID  uuid.UUID // uuid.Nil where the change belongs to no session
	OccurredAt time.Time
	Data       Data
}

// Data is the part of an event that depends on its scope.
type Data interface {
	// Validate returns a FieldError for the first rule that is broken, with
	// the path below "data". e is the event around it.
	Validate(e *StateChanged) error
	// Rows names the cold rows that the event sets and at which version: the
	// event is saved when each of them is stored at that version or above.
	Rows(e *StateChanged) []Row
}

// Rows names the cold rows that the event sets.
func (e *StateChanged) Rows() []Row { return e.Data.Rows(e) }

// New makes the event of a change: it derives the id and the time from the
// version, so that the same change made twice is the same event.
func New(c CharID, v Version, cause Cause, session uuid.UUID, scope Scope, data Data) StateChanged {
	return StateChanged{
		ID: newID(scope, c, v, session), Scope: scope, CharID: c, Version: v,
		Cause: cause, SessionID: session, OccurredAt: v.Time(), Data: data,
	}
}

// namespace is the UUIDv5 namespace of event ids. It is part of the contract.
var namespace = uuid.MustParse("6f0c1f52-5d0e-5b1c-9a53-7c0d6c1b2a10")

// newID derives an event's id from what it says. A fight finishes once, so its
// id comes from its session.
func newID(scope Scope, c CharID, v Version, session uuid.UUID) uuid.UUID {
	if scope == ScopeCombat && session != uuid.Nil {
		return uuid.NewSHA1(namespace, []byte("combat/"+session.String()))
	}
	name := string(scope) + "/" + c.String() + "/" + strconv.FormatInt(int64(v), 10)
	return uuid.NewSHA1(namespace, []byte(name))
}

// Validate checks the whole event, apart from what depends on the clock and
// the subject (see CheckDelivery).
func (e *StateChanged) Validate() error {
	switch {
	case e.CharID < 1:
		return wrong("char_id", ErrCharID)
	case e.Version < 1:
		return wrong("version", ErrVersion)
	case !e.Cause.valid():
		return wrong("cause", fmt.Errorf("%w: %q", ErrCause, e.Cause))
	case e.SessionID == uuid.Nil && (e.Scope == ScopeCombat || e.Scope == ScopeScenario):
		return wrong("session_id", ErrMissingField)
	case e.Version > maxVersion:
		return wrong("version", ErrVersionAhead)
	case !e.Scope.HasState():
		return wrong("scope", fmt.Errorf("%w: %q", ErrScope, e.Scope))
	case e.Data == nil:
		return wrong("data", ErrMissingField)
	}
	if data, ok := e.Data.(interface{ scope() Scope }); ok && data.scope() != e.Scope {
		return wrong("scope", fmt.Errorf("%w: %q with data of %q", ErrScope, e.Scope, data.scope()))
	}
	if err := e.Data.Validate(e); err != nil {
		return inData(err)
	}
	return nil
}

// CheckDelivery checks the event against where and when the stream got it. The
// stream's clock is the judge, not the reader's, so that a replay years later
// comes to the same verdict. c is 0 where the subject names no character.
func (e *StateChanged) CheckDelivery(scope Scope, c CharID, storedAt time.Time) error {
	if e.Scope != scope {
		return wrong("scope", fmt.Errorf("%w: %q on the subject of %q", ErrScope, e.Scope, scope))
	}
	if c != 0 && e.CharID != c {
		return wrong("char_id", fmt.Errorf("%w: %d on the subject of %d", ErrCharID, e.CharID, c))
	}
	if err := e.Version.Check(storedAt); err != nil {
		return wrong("version", err)
	}
	for i, t := range e.Transfers() {
		if err := max(t.Version, t.ToVersion).Check(storedAt); err != nil {
			return wrong(fmt.Sprintf("data.transfers[%d].version", i), err)
		}
	}
	return nil
}
