package events_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/events"
)

var tenOClock = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func vitalsAt(v events.Version) events.StateChanged {
	return events.New(42, v, events.CauseAction, uuid.Nil, events.ScopeVitals, events.Vitals{Location: events.Location{Zone: "harbor"}})
}

func TestDeliveryOnItsOwnSubjectIsAccepted(t *testing.T) {
	e := vitalsAt(events.Version(tenOClock.UnixMicro()))
	for _, char := range []events.CharID{42, 0} { // 0: the subject names no character
		if err := e.CheckDelivery(events.ScopeVitals, char, tenOClock); err != nil {
			t.Errorf("as character %d: %v", char, err)
		}
	}
}

func TestDeliveryOnAnotherSubjectIsRefused(t *testing.T) {
	e := vitalsAt(events.Version(tenOClock.UnixMicro()))
	refusal{"scope", events.ErrScope}.is(t, e.CheckDelivery(events.ScopeInventory, 42, tenOClock))
	refusal{"char_id", events.ErrCharID}.is(t, e.CheckDelivery(events.ScopeVitals, 43, tenOClock))
}

// The clock of the stream is the judge: five minutes ahead of it and no more. A
// version of long ago is always good, or nothing could be replayed.
func TestVersionTooFarAheadOfTheStreamIsRefused(t *testing.T) {
	limit := events.Version(tenOClock.Add(5 * time.Minute).UnixMicro())
	for v, good := range map[events.Version]bool{
		1: true, limit - 1: true, limit: true,
		limit + 1: false, limit * 2: false,
	} {
		e := vitalsAt(v)
		err := e.CheckDelivery(events.ScopeVitals, 42, tenOClock)
		switch {
		case good && err != nil:
			t.Errorf("%s: %v", v.Time(), err)
		case !good:
			refusal{"version", events.ErrVersionAhead}.is(t, err)
		}
	}
}
