package game

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

// What passes between those who decide and the store that commits.

// Want says which parts of a character to load. The contexts and the versions
// of all parts always come.
type Want struct {
	Vitals    bool
	Progress  bool
	Items     []string // these items
	AllItems  bool
	Scenarios bool
	Sessions  bool // the open sessions; with Dirty, ended fights that are not saved, too
	Transfers bool // the trades that are not saved
	// Likely are sessions that are probably open: the request names one, or the
	// mirror shows them. It saves a round trip where it is right and costs nothing
	// where it is not.
	Likely    []uuid.UUID
	Dirty     bool
	Request   string // an idempotency key, to look for its first answer
	Beginning bool   // since when the store has kept what it was told
}

// Everything wants all parts.
var Everything = Want{Vitals: true, Progress: true, AllItems: true, Scenarios: true, Sessions: true, Transfers: true, Dirty: true}

// Loaded is what was found.
type Loaded struct {
	State
	Known bool // the store has the character
	// Verified tells that the copy was verified under this run of the store. One
	// that was not may be older than what was acknowledged.
	Verified bool
	LastSeen time.Time
	// Record is what was kept for Want.Request, or "".
	Record string
	// Beginning, where it is wanted, is a token of since when the store has kept what it
	// was told, another one after each loss; Age is how long ago that was.
	Beginning string
	Age       time.Duration
}

// A Request makes a repeat of the same request return the first answer.
type Request struct {
	Key    string // the idempotency key; "" for none
	Record string // what to keep for it
}

// An Origin says where a change comes from. It travels beside its events.
type Origin struct {
	Trace string // the W3C trace context, or ""
	// Request is the request that the change answers, so that its answer is not
	// forgotten with the hot state.
	Request Request
	// Saved, unless nil, is called once when savers have told that all events are
	// saved. They may be saved and it is never called.
	Saved func()
}

// Joining is what a join commits beside the joined state.
type Joining struct {
	Dirty   []events.Row // rows that are not saved
	Answers []Request    // answered requests that may be forgotten
	// Beginning is the token of the one that the join was made under; "" takes any.
	Beginning string
}

// ErrUnverified is returned by a commit where the store does not have the
// character, or has a copy that was not verified under this run: it may be older
// than what was acknowledged. Join it with what others know and commit again.
var ErrUnverified = errors.New("hot copy is not verified")

// ErrAhead is returned by a commit for a version more than events.MaxAhead ahead
// of the store's clock: the clock of this process is wrong.
var ErrAhead = errors.New("version is more than 5 minutes ahead of the clock of Redis; synchronise the clock of this gateway (NTP)")

// A MovedError is returned by a commit where somebody was faster. Load and
// decide again, above Version.
type MovedError struct{ Version events.Version }

func (e *MovedError) Error() string {
	return fmt.Sprintf("character has moved on to version %d", e.Version)
}

// A ReplayError is returned by a commit where the request's key is known
// already; nothing was changed. Record is what the first commit kept.
type ReplayError struct{ Record string }

func (e *ReplayError) Error() string { return "the request was answered before" }
