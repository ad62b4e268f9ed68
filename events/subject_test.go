package events_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/savepoint-games/savepoint/events"
)

func TestSubjectIsReadAsItWasMade(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scope := events.Scope(anyWord().Draw(t, "scope"))
		char := events.CharID(rapid.Int64Min(1).Draw(t, "char"))
		for subject, want := range map[string]events.CharID{
			events.Subject(scope, char):                           char,
			events.ScopeSubject(scope):                            0,
			events.ScopeSubject(scope) + "." + events.NoCharacter: 0,
		} {
			gotScope, gotChar, err := events.ParseSubject(subject)
			if gotScope != scope || gotChar != want || err != nil {
				t.Fatalf("%s: scope %q, character %d, %v", subject, gotScope, gotChar, err)
			}
		}
	})
}

func TestForeignSubjectIsRefused(t *testing.T) {
	for subject, want := range map[string]error{
		"":                                events.ErrSubject,
		"sync":                            events.ErrSubject,
		"sync.":                           events.ErrSubject,
		"Sync.vitals.42":                  events.ErrSubject,
		"dlq.vitals.42":                   events.ErrSubject,
		"sync.vitals.":                    events.ErrCharID,
		"sync.vitals.0":                   events.ErrCharID,
		"sync.vitals.-1":                  events.ErrCharID,
		"sync.vitals.042":                 events.ErrCharID,
		"sync.vitals.+42":                 events.ErrCharID,
		"sync.vitals.42.1":                events.ErrCharID,
		"sync.vitals.ANY":                 events.ErrCharID,
		"sync.vitals.9223372036854775808": events.ErrCharID,
	} {
		if _, char, err := events.ParseSubject(subject); !errors.Is(err, want) || char != 0 {
			t.Errorf("%q: character %d, %v, want %v", subject, char, err, want)
		}
	}
}

func TestDeadLetterIsFoundByCharacter(t *testing.T) {
	for char, want := range map[events.CharID]string{42: "dlq.vitals.42", 0: "dlq.vitals.any", -1: "dlq.vitals.any"} {
		if got := events.DeadLetterSubject(events.ScopeVitals, char); got != want {
			t.Errorf("character %d: %s, want %s", char, got, want)
		}
	}
}
