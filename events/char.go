package events

import (
	"fmt"
	"strconv"
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
