package doctor

import (
	"encoding/json"
	"math"
	"time"
)

// Loss is what may be lost of the changes that were answered at some level. The
// zero value is nothing.
type Loss struct {
	// Window is how far back from the fault what is lost may reach.
	Window time.Duration
	// Text says what, where a time does not.
	Text string
	// Unknown is set where the settings could not be read. A Window is a bound
	// then: it is no more than that.
	Unknown bool
}

// forever is the window of what has no bound.
const forever = time.Duration(math.MaxInt64)

var (
	unknown  = Loss{Unknown: true}
	unsaved  = Loss{Window: forever, Text: "all that is not saved"}
	anything = Loss{Window: forever, Text: "anything"}
)

// within is the loss of what the last d held.
func within(d time.Duration) Loss { return Loss{Window: d} }

// Nothing reports whether nothing is lost for certain.
func (l Loss) Nothing() bool { return !l.Unknown && l.Window == 0 }

// Certain reports whether something may be lost for certain.
func (l Loss) Certain() bool { return !l.Unknown && l.Window > 0 }

// String is a cell of the table.
func (l Loss) String() string {
	switch {
	case l.Unknown && l.Window == 0:
		return "unknown"
	case l.Unknown:
		return "at most " + Loss{Window: l.Window, Text: l.Text}.String()
	case l.Window == 0:
		return "nothing"
	case l.Text != "":
		return l.Text
	}
	return "the last " + short(l.Window)
}

// MarshalJSON is what machines read: the text, and the window where there is one.
func (l Loss) MarshalJSON() ([]byte, error) {
	out := struct {
		Text    string   `json:"text"`
		Seconds *float64 `json:"seconds,omitempty"` // absent: unknown, or no bound
		Unknown bool     `json:"unknown,omitempty"`
	}{Text: l.String(), Unknown: l.Unknown}
	if l.Window != forever && (!l.Unknown || l.Window > 0) {
		seconds := l.Window.Seconds()
		out.Seconds = &seconds
	}
	return json.Marshal(out)
}

// both is what is lost of a change that has two copies: what both lose, which is
// at most the smaller loss. So where one is not known the other is still a bound.
func both(a, b Loss) Loss {
	switch {
	case a.Nothing() || b.Nothing():
		return Loss{}
	case a.Unknown:
		return b.atMost()
	case b.Unknown:
		return a.atMost()
	case b.Window < a.Window:
		return b
	}
	return a
}

// atMost is l as a bound of what is not known.
func (l Loss) atMost() Loss {
	if l.Window == forever {
		return unknown
	}
	l.Unknown = true
	return l
}

// worse is the larger loss. What is unknown is less than what has no bound, and
// more than the rest.
func worse(a, b Loss) Loss {
	rank := func(l Loss) time.Duration {
		if l.Unknown && l.Window == 0 {
			return forever - 1
		}
		return l.Window
	}
	if rank(b) > rank(a) {
		return b
	}
	return a
}
