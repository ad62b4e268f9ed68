package savers

import (
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/savepoint-games/savepoint/events"
)

// stored is a message that was stored at some time, and not before another one.
type stored struct {
	jetstream.Msg
	since, at time.Time
	asked     int
}

func (m *stored) StoredSince() time.Time { return m.since }

func (m *stored) Metadata() (*jetstream.MsgMetadata, error) {
	m.asked++
	return &jetstream.MsgMetadata{Timestamp: m.at}, nil
}

// Whether a version is too far ahead is decided by when the message was stored, and
// what is known of all the messages that came with it decides only where it suffices.
func TestVersionIsCheckedAgainstWhenItWasStored(t *testing.T) {
	since := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	at := since.Add(time.Hour)
	for name, test := range map[string]struct {
		since   time.Time
		version time.Time
		asked   int
		refused bool
	}{
		"not ahead of any":      {since, since.Add(events.MaxAhead), 0, false},
		"ahead of the first":    {since, at.Add(events.MaxAhead), 1, false},
		"ahead of its own":      {since, at.Add(events.MaxAhead + time.Microsecond), 1, true},
		"nothing is known":      {time.Time{}, since, 1, false},
		"ahead, nothing known":  {time.Time{}, at.Add(2 * events.MaxAhead), 1, true},
		"older than all stored": {since, since.Add(-time.Hour), 0, false},
	} {
		msg := &stored{since: test.since, at: at}
		e := events.New(42, events.Version(test.version.UnixMicro()), events.CauseAction, uuid.Nil, events.ScopeVitals, events.Vitals{})
		err := checkDelivery(&e, events.ScopeVitals, 42, msg)
		if refused := errors.Is(err, events.ErrVersionAhead); refused != test.refused || err != nil && !refused {
			t.Errorf("%s: got %v, refused should be %t", name, err, test.refused)
		}
		if msg.asked != test.asked {
			t.Errorf("%s: the metadata were read %d times, want %d", name, msg.asked, test.asked)
		}
	}
}
