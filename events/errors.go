package events

import (
	"errors"
	"slices"

	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// A FieldError says which field of an event (or of a request) is wrong, as a
// path like "data.items[2].quantity", and wraps the reason.
type FieldError = strictjson.FieldError

// What can be wrong with an event. Decode returns a FieldError that wraps one
// of them, so callers may use errors.Is and people read the field's name.
var (
	ErrUnknownField   = strictjson.ErrUnknown
	ErrDuplicateField = strictjson.ErrDuplicate
	ErrMissingField   = strictjson.ErrMissing
	ErrWrongType      = strictjson.ErrType
	ErrSyntax         = strictjson.ErrSyntax

	// ErrSchema: the schema version is below 1.
	ErrSchema = errors.New("schema must be at least 1")
	// ErrSchemaNewer: a newer build published the event. It is good, but not
	// for this reader: docs/events.md has the rule.
	ErrSchemaNewer = errors.New("schema is newer than this build reads")
	// ErrScope: no such scope, or not the one that the subject names.
	ErrScope = errors.New("wrong scope")
	// ErrCharID: below 1, or not the one that the subject names.
	ErrCharID = errors.New("char_id must be a positive integer")
	// ErrVersion: below 1.
	ErrVersion = errors.New("version must be at least 1")
	// ErrVersionAhead: more than MaxAhead ahead of the stream's clock.
	ErrVersionAhead = errors.New("version is more than 5 minutes ahead of the clock")
	// ErrCause: not one of the causes.
	ErrCause = errors.New("unknown cause")
	// ErrQuantity: an amount below zero. One above what its type holds is ErrWrongType.
	ErrQuantity = errors.New("must not be below zero")
	// ErrCoordinate: not a finite number.
	ErrCoordinate = errors.New("must be a finite number")
	// ErrText: a name that is empty, too long, or holds control characters.
	ErrText = errors.New("must be 1 to 128 bytes of text without control characters")
	// ErrWord: a word that is empty, too long, or has other characters.
	ErrWord = errors.New("must be 1 to 32 lower-case letters, digits, - and _")
	// ErrData: free-form data that PostgreSQL could not take.
	ErrData = errors.New("must be an object of at most 192 KiB, at most 32 levels deep, without the character \\u0000")
	// ErrTooLarge: the document is over MaxBytes.
	ErrTooLarge = errors.New("must be at most 256 KiB")
	// ErrEmpty: a list that must have an element has none.
	ErrEmpty = errors.New("must not be empty")
	// ErrRepeated: a list names the same thing twice.
	ErrRepeated = errors.New("named twice")
	// ErrOneself: a trade of a character with itself.
	ErrOneself = errors.New("must be another character")
	// ErrPanicked: the decoder or the data of a game's own scope.
	ErrPanicked = errors.New("the code of its scope panicked")
)

// ErrGone says that the stream does not have an event any more: it was removed by hand, or
// the server lost its end.
var ErrGone = errors.New("gone from the stream")

// wrong returns a FieldError of one field.
func wrong(field string, err error) error { return &FieldError{Field: field, Err: err} }

// What may be unavailable; the receiver of a trade may be, too.
const (
	Redis      = "redis"
	NATS       = "nats"
	PostgreSQL = "postgresql"
)

// UnavailableError says that a store or the network did not answer, or not in
// time. It says nothing about the request, whose effect may have happened.
type UnavailableError struct {
	What string
	// Answered tells that Redis was there, and refused this one thing: what a key
	// holds is none of ours. It may do what others ask for. Of PostgreSQL the cause
	// tells.
	Answered bool
	Err      error
}

func (e *UnavailableError) Error() string { return e.What + " is not available: " + e.Err.Error() }
func (e *UnavailableError) Unwrap() error { return e.Err }

// Unavailable wraps err, unless it is nil.
func Unavailable(what string, err error) error {
	if err == nil {
		return nil
	}
	return &UnavailableError{What: what, Err: err}
}

// IsUnavailable reports whether err is an UnavailableError, of one of these where any
// are named.
func IsUnavailable(err error, what ...string) bool {
	e, ok := errors.AsType[*UnavailableError](err)
	return ok && (len(what) == 0 || slices.Contains(what, e.What))
}
