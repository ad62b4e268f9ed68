package main

import (
	"fmt"

	"github.com/savepoint-games/savepoint/events"
)

// character is the value of --char: 0 where it is not given, and no other way.
type character events.CharID

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *character) UnmarshalText(text []byte) error {
	char, err := events.ParseCharID(string(text))
	*c = character(char)
	return err
}

func (c character) id() events.CharID { return events.CharID(c) }

// stateScope is a value of --scope: "" where it is not given.
type stateScope events.Scope

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *stateScope) UnmarshalText(text []byte) error {
	if !events.Scope(text).HasState() {
		return fmt.Errorf("must be one of %v, not %q", events.Scopes(), text)
	}
	*s = stateScope(text)
	return nil
}

func (s stateScope) scope() events.Scope { return events.Scope(s) }
