package events

import (
	"fmt"
	"time"
)

// A Version orders the changes of one character: of two copies of a value the
// one with the higher version is kept. It is a hybrid logical clock, in
// microseconds since the Unix epoch. Versions of two characters do not compare.
type Version int64

// MaxAhead is how far a version may run ahead of the clock that checks it. One
// bad clock must not freeze a character in the future.
const MaxAhead = 5 * time.Minute

// NextVersion is the version of a change made at now to a character whose
// newest change is previous: the clock, or previous+1 where the clock is not
// ahead of it.
func NextVersion(previous Version, now time.Time) Version {
	return max(previous+1, Version(now.UnixMicro()))
}

// maxVersion is the end of the year 9999, the last that RFC 3339 can write.
var maxVersion = Version(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMicro())

// Time is the moment the version reads as.
func (v Version) Time() time.Time { return time.UnixMicro(int64(v)).UTC() }

// Check returns an error that wraps ErrVersion for a version below 1, and
// ErrVersionAhead for one more than MaxAhead ahead of at.
func (v Version) Check(at time.Time) error {
	if v < 1 {
		return fmt.Errorf("%w: %d", ErrVersion, v)
	}
	if limit := Version(at.Add(MaxAhead).UnixMicro()); v > limit {
		return fmt.Errorf("%w: %s against %s", ErrVersionAhead, v.Time().Format(time.RFC3339Nano), at.UTC().Format(time.RFC3339Nano))
	}
	return nil
}
