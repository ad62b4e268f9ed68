package events

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Scope names one domain of state: what is saved together, by one saver.
type Scope string

// The scopes of the product. Define adds one of your own.
const (
	ScopeCombat    Scope = "combat"
	ScopeInventory Scope = "inventory"
	ScopeVitals    Scope = "vitals"
	ScopeScenario  Scope = "scenario"

	// ScopeCleanup carries the sweeper's ticks. It has no state, no event data
	// and no place in the stream of changes.
	ScopeCleanup Scope = "cleanup"
)

// A CharID names a character; it is at least 1.
type CharID int64

// String is the decimal form, as in subjects and keys.
func (c CharID) String() string { return strconv.FormatInt(int64(c), 10) }

// ParseCharID reads the decimal form. The error wraps ErrCharID.
func ParseCharID(text string) (CharID, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || strconv.FormatInt(n, 10) != text {
		return 0, fmt.Errorf("%w: %q", ErrCharID, text)
	}
	return CharID(n), nil
}

const (
	subjectPrefix    = "sync."
	deadLetterPrefix = "dlq."

	// NoCharacter is the last token of a subject whose publisher named only the
	// scope: the stream stores sync.vitals as sync.vitals.any.
	NoCharacter = "any"
)

// ErrSubject is returned for a subject that is none of this product's.
var ErrSubject = errors.New("subject must be sync.<scope> or sync.<scope>.<char_id>")

// Subject is where a change of this scope and character is published.
func Subject(s Scope, c CharID) string { return subjectPrefix + string(s) + "." + c.String() }

// ScopeSubject is the subject of the whole scope, for publishers that do not
// put the character into it, and for the ticks of ScopeCleanup.
func ScopeSubject(s Scope) string { return subjectPrefix + string(s) }

// DeadLetterSubject is where an event that cannot be saved is kept; c is 0
// where the character is not known.
func DeadLetterSubject(s Scope, c CharID) string {
	if c < 1 {
		return deadLetterPrefix + string(s) + "." + NoCharacter
	}
	return deadLetterPrefix + string(s) + "." + c.String()
}

// ParseSubject takes a subject apart. The character is 0 for a subject that
// names only the scope. The error wraps ErrSubject or ErrCharID.
func ParseSubject(subject string) (Scope, CharID, error) {
	rest, ok := strings.CutPrefix(subject, subjectPrefix)
	if !ok || rest == "" {
		return "", 0, fmt.Errorf("%w: %q", ErrSubject, subject)
	}
	scope, character, named := strings.Cut(rest, ".")
	if scope == "" {
		return "", 0, fmt.Errorf("%w: %q", ErrSubject, subject)
	}
	if !named || character == NoCharacter {
		return Scope(scope), 0, nil
	}
	id, err := ParseCharID(character)
	return Scope(scope), id, err
}
