package verify

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/savepoint-games/savepoint/events"
)

// A Verdict says where the truth about a row is.
type Verdict string

// The verdicts.
const (
	// Unknown is the verdict where the stream was not asked.
	Unknown Verdict = "unknown"
	// Pending: the event is in the stream and savers have not come to it.
	Pending Verdict = "pending"
	// Unstored: savers have acknowledged the event, and PostgreSQL does not have
	// it. It is in the dead letters, or PostgreSQL has lost it.
	Unstored Verdict = "unstored"
	// Unpublished: Redis has a change that the stream does not hold.
	Unpublished Verdict = "unpublished"
	// HotBehind: PostgreSQL or the stream has what Redis does not.
	HotBehind Verdict = "hot-behind"
	// Leftover: PostgreSQL has the fight, and Redis has not been told.
	Leftover Verdict = "leftover"
	// ColdWrong: one version, two values, and the stream says what Redis says.
	ColdWrong Verdict = "cold-wrong"
	// HotWrong: one version, two values, and the stream says what PostgreSQL says.
	HotWrong Verdict = "hot-wrong"
	// Undecided: one version, two values, and the stream cannot tell.
	Undecided Verdict = "undecided"
)

var explanations = map[Verdict]string{
	Unknown:     "the stream was not asked",
	Pending:     "cold is behind; the event is in the stream, pending",
	Unstored:    "cold is behind, and the stream has settled the event: acknowledged and not stored, or lost since, or among the dead letters: repair",
	Unpublished: "cold is behind, and the stream does not hold the change: never published, or lost",
	HotBehind:   "hot is behind: an external write, or an older Redis",
	Leftover:    "the fight is saved; hot keeps its result until it is told",
	ColdWrong:   "one version, two values; the stream agrees with hot: somebody wrote to PostgreSQL past the savers",
	HotWrong:    "one version, two values; the stream agrees with cold: somebody wrote to Redis past the game",
	Undecided:   "one version, two values, and the stream does not hold it: nobody can tell which is right",
}

// Explanation is the verdict in a sentence.
func (v Verdict) Explanation() string { return explanations[v] }

// A Difference is one row that the copies of a character do not agree on.
type Difference struct {
	Char events.CharID
	Row  events.RowKey
	// Known is false where Redis does not have the character at all; then its
	// copy is no part of the difference.
	Known bool
	// Stream is the row of the highest version; its text is empty where the
	// stream was not asked.
	Hot, Stream, Cold Copy
	Event             Event
	Verdict           Verdict
}

// An Event is the stored event of the row's highest version; its sequence is 0
// where there is none.
type Event struct {
	Sequence uint64    `json:"sequence"`
	StoredAt time.Time `json:"stored_at"`
	Settled  bool      `json:"settled"`
}

func (d Difference) String() string {
	hot, stream := d.Hot.Text, d.Stream.Text
	if !d.Known {
		hot = "Redis does not have the character"
	}
	switch {
	case stream == "":
		stream = "not asked"
	case d.Event.Sequence > 0:
		state := "pending"
		if d.Event.Settled {
			state = "settled"
		}
		stream += fmt.Sprintf(" (sequence %d of %s, %s)", d.Event.Sequence, d.Event.StoredAt.Format(time.RFC3339), state)
	}
	return fmt.Sprintf("character %d, %s: %s: %s\n  + hot %s\n  = stream %s\n  - cold %s",
		d.Char, d.Row, d.Verdict, d.Verdict.Explanation(), hot, stream, d.Cold.Text)
}

// differences lists the rows that the copies do not agree on, in the order of
// their keys.
func (c *copies) differences() (out []Difference) {
	hot, stream, cold := map[events.RowKey]Copy{}, rows(c.stream), c.coldRows()
	if c.hot.Known {
		hot = rows(&c.hot.State)
	}
	keys := maps.Clone(hot)
	maps.Copy(keys, stream)
	maps.Copy(keys, cold)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		r := row{key: key, known: c.hot.Known, asked: c.stream != nil, hot: hot[key], stream: stream[key], cold: cold[key]}
		if stored, ok := c.newest[key]; ok {
			r.event = Event{stored.Sequence, stored.StoredAt, stored.Settled}
		}
		if r.differs() {
			out = append(out, r.difference(c.char))
		}
	}
	return out
}

// row is what the copies say of one row; a version of 0 where one lacks it.
type row struct {
	key               events.RowKey
	known             bool // Redis has the character
	asked             bool // the stream was
	hot, stream, cold Copy
	event             Event
}

// differs reports whether the copies disagree. A fight is in Redis while it is
// not saved and no longer; the stream holds a part of the past only.
func (r *row) differs() bool {
	if r.stream.Version > r.cold.Version {
		return true
	}
	if !r.known {
		return false
	}
	if isFight(r.key) {
		return r.hot.Version > 0
	}
	return r.hot != r.cold
}

func isFight(key events.RowKey) bool {
	_, fight := key.Fight()
	return fight
}

func (r *row) difference(char events.CharID) Difference {
	shown := func(c Copy) Copy {
		if c.Version == 0 {
			c.Text = absent
		}
		return c
	}
	d := Difference{
		Char: char, Row: r.key, Known: r.known, Hot: shown(r.hot), Cold: shown(r.cold),
		Event: r.event, Verdict: r.verdict(),
	}
	if r.asked {
		d.Stream = shown(r.stream)
	}
	return d
}

func (r *row) verdict() Verdict {
	newest := max(r.hot.Version, r.stream.Version)
	switch {
	case isFight(r.key) && r.cold.Version > 0:
		return Leftover
	case r.hot.Version == r.cold.Version && r.stream.Version <= r.cold.Version:
		return r.conflict()
	case r.cold.Version < newest && !r.asked:
		return Unknown
	case r.cold.Version < newest && r.stream.Version < newest:
		return Unpublished
	case r.cold.Version < newest && r.event.Settled:
		return Unstored
	case r.cold.Version < newest:
		return Pending
	}
	return HotBehind
}

// conflict judges two values of one version.
func (r *row) conflict() Verdict {
	switch {
	case !r.asked:
		return Unknown
	case r.stream.Version < r.hot.Version:
		return Undecided
	case r.stream.Text == r.hot.Text:
		return ColdWrong
	case r.stream.Text == r.cold.Text:
		return HotWrong
	}
	return Undecided
}
