package events

import (
	"errors"
	"fmt"
	"strings"
)

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
